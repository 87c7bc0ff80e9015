"""`--if-changed`, which the Makefile gives: a layer is built again when something is other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from layer import build, pythons
from tests.layer.conftest import ROOT

THIS = next(p for p in pythons.find() if p.version == sys.version_info[:3])


def add_a_module(root: Path) -> None:
    (root / "src/lamella/new.py").write_text("")


def remove_a_module(root: Path) -> None:
    (root / "src/lamella/channels.py").unlink()


def change_the_bootstrap(root: Path) -> None:
    with (root / "bootstrap/bootstrap").open("a") as script:
        script.write("# one line more\n")


def change_the_build(root: Path) -> None:
    with (root / "layer/bytecode.py").open("a") as module:
        module.write("# one line more\n")


def change_the_zip(root: Path) -> None:
    with (root / "dist/layer.zip").open("ab") as file:
        file.write(b"0")


def remove_the_zip(root: Path) -> None:
    (root / "dist/layer.zip").unlink()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the layer is made from, on a machine with this Python alone."""
    for name in ["bootstrap", "build/cache", "layer", "src"]:
        ignored = shutil.ignore_patterns("__pycache__", "distribution")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "STAMP", tmp_path / "build/layer.stamp")
    monkeypatch.setattr(pythons, "find", lambda: [THIS])
    return tmp_path


def test_only_a_change_builds(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zip_file = tree / "dist/layer.zip"

    def is_built() -> bool:
        build.main(["--output", str(zip_file), "--if-changed"])
        return f"{zip_file} is up to date" not in capsys.readouterr().out

    assert is_built()
    assert not is_built()
    for file in tree.rglob("*.py"):
        file.touch()
    (tree / "src/lamella/local/new.py").write_text("")  # not in the layer
    assert not is_built(), "dates decide nothing"
    changes: list[Callable[[Path], None]] = [
        *(add_a_module, remove_a_module, change_the_bootstrap, change_the_build),
        *(change_the_zip, remove_the_zip),
    ]
    for change in changes:
        change(tree)
        assert is_built(), change.__name__
        assert not is_built(), change.__name__


def test_another_python_builds(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zip_file = tree / "dist/layer.zip"
    before = build.fingerprint(tree, zip_file, [THIS])
    newer = THIS._replace(version=(*THIS.version[:2], THIS.version[2] + 1))
    moved = THIS._replace(path="/elsewhere/python3")
    assert build.fingerprint(tree, zip_file, [THIS, THIS]) != before
    assert build.fingerprint(tree, zip_file, [newer]) != before
    assert build.fingerprint(tree, zip_file, [moved]) == before
