"""Bytecode that Lambda can use: unchecked, for every minor, and found when imported."""

from __future__ import annotations

import ast
import importlib.util
import marshal
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

from layer import build, bytecode
from layer.pythons import Python

Content = dict[str, bytes]

IMPORT_ALL = """
import importlib.machinery, pkgutil, sys

def refuse(self, data, path, *more, **options):
    raise SystemExit(f"compiled {path}")

import asyncio, http, json, logging  # the standard library may be compiled
sys.path[:0] = sys.argv[1:]
importlib.machinery.SourceFileLoader.source_to_code = refuse
import lamella
names = [module.name for module in pkgutil.walk_packages(lamella.__path__, "lamella.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def test_every_module_has_bytecode_for_every_minor(
    content: Content, manifest: dict[str, Any], python: Python
) -> None:
    assert manifest["bytecode"][python.minor]["magic"] == python.magic
    modules = [name for name in content if name.startswith("python/") and name.endswith(".py")]
    for name in modules:
        header = content[bytecode.cached(name, python)][:8]
        assert header[:4].hex() == python.magic, name
        # PEP 552: bit 0 "hash-based", bit 1 "check the source"
        assert int.from_bytes(header[4:], "little") == 0b01, name


def test_no_bytecode_is_there_without_its_source(content: Content) -> None:
    for name in (name for name in content if name.endswith(".pyc")):
        folder, _, cached = name.rpartition("/__pycache__/")
        assert f"{folder}/{cached.split('.')[0]}.py" in content


def test_tracebacks_show_where_lambda_unpacks_the_layer(content: Content) -> None:
    running = Python(sys.executable, sys.version_info[:3], importlib.util.MAGIC_NUMBER.hex())
    code = marshal.loads(content[bytecode.cached("python/lamella/errors.py", running)][16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/opt/python/lamella/errors.py"


def test_importing_the_layer_compiles_nothing(opt: Path, python: Python, tmp_path: Path) -> None:
    # stands for the copy that the managed runtime has
    hooks = "def get_before_snapshot(): return []\ndef get_after_restore(): return []\n"
    (tmp_path / "snapshot_restore_py.py").write_text(hooks)
    # stands for what a Django function brings
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "__init__.py").touch()
    (tmp_path / "channels" / "layers.py").write_text("class BaseChannelLayer: pass\n")
    subprocess.run([python.path, "-m", "compileall", "-q", "."], cwd=tmp_path, check=True)
    done = subprocess.run(
        [python.path, "-I", "-S", "-c", IMPORT_ALL, str(opt / "python"), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    modules = [path for path in opt.rglob("python/**/*.py") if path.parent.name != "lamella"]
    assert int(done.stdout) >= len(modules)


def test_no_module_needs_what_its_bytecode_lacks() -> None:
    """Nothing reads a docstring, and no assert statement has an effect."""
    for name, source in build.package(build.ROOT).items():
        assert b"__doc__" not in source, name
        for statement in ast.walk(ast.parse(source)):
            if isinstance(statement, ast.Assert):
                effects = (ast.Await, ast.Call, ast.NamedExpr, ast.Yield)
                parts = [part for part in ast.walk(statement.test) if isinstance(part, effects)]
                assert [ast.unparse(part) for part in parts if not _only_asks(part)] == [], name


def _only_asks(part: ast.AST) -> bool:
    """Whether `part` is isinstance(...)."""
    return (
        isinstance(part, ast.Call)
        and isinstance(part.func, ast.Name)
        and part.func.id == "isinstance"
    )


def test_the_bytecode_lacks_what_only_type_checkers_read(content: Content) -> None:
    words = {"settings": b"SettingArguments", "runtime/__pycache__/forks": b"__annota"}
    for module, word in words.items():
        found = [data for name, data in content.items() if f"{module}.cpython" in name]
        assert found
        assert not any(word in data for data in found), module


def test_the_type_of_no_field_is_compiled_when_a_module_is_imported(
    content: Content, tmp_path: Path
) -> None:
    """NamedTuple compiles each annotation that is text, which takes a tenth of Lamella's import."""
    for name, data in content.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    code = """
import builtins, sys
sys.path.insert(0, sys.argv[1])
compiled, compile = [], builtins.compile
def counted(text, *rest, **options):
    compiled.append(text)
    return compile(text, *rest, **options)
builtins.compile = counted
from lamella.settings import Settings
from lamella.types import Request
print(compiled, len(Settings._fields) > 10, Request._fields[:2], Request._field_defaults["scheme"])
"""
    output = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path / "python")),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert output == "[] True ('method', 'path') https\n"
