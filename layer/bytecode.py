"""Compile the layer's modules for every Python at hand.

Lambda's zips are dated 1980 and /opt is read-only: bytecode that Python compares with its
source's date would be stale for ever, and recompiled on every cold start. An unchecked hash
(PEP 552) is never compared with anything.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from layer import containers
from layer.pythons import Python

INSTALLED_AT = "/opt/"
"""Where Lambda unpacks layers: the path that tracebacks show."""

# What is left out is more than a third of the bytes that a cold start reads:
# - docstrings (optimize=2, which also drops assert statements: in the package they only tell the
#   type checker what is so);
# - column numbers (no_debug_ranges: tracebacks lose the ^^^ below a line of Lamella's, not of the
#   application's);
# - what only type checkers read: annotations and `if TYPE_CHECKING:`. NamedTuple makes fields of
#   a class's annotations: they stay, with None for a type, because NamedTuple would compile the
#   text of each (with all of them, a tenth of Lamella's import).
# The sources beside it have everything.
# The file keeps the ordinary name, which an interpreter started without -O looks for.
_OPTIONS = ("-s", "-S", "-B", "-X", "no_debug_ranges")

_COMPILE = """
import ast, importlib.util, marshal, os, sys
UNCHECKED_HASH = b"\\1\\0\\0\\0"
def named(node, name):
    return isinstance(node, ast.Name) and node.id == name
class WithoutTypes(ast.NodeTransformer):
    in_fields = False  # in the body of a NamedTuple
    def visit_within(self, node, in_fields):
        outer, self.in_fields = self.in_fields, in_fields
        self.generic_visit(node)
        self.in_fields = outer
    def visit_ClassDef(self, node):
        self.visit_within(node, any(named(base, "NamedTuple") for base in node.bases))
        return node
    def visit_FunctionDef(self, node):
        self.visit_within(node, False)
        node.returns = None
        spec = node.args
        for each in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg):
            if each is not None:
                each.annotation = None
        return node
    visit_AsyncFunctionDef = visit_FunctionDef
    def visit_AnnAssign(self, node):
        if self.in_fields:
            node.annotation = ast.copy_location(ast.Constant(None), node)
            return node
        plain = ast.Assign([node.target], node.value) if node.value else ast.Pass()
        return ast.copy_location(plain, node)
    def visit_If(self, node):
        self.generic_visit(node)
        return ast.Pass() if named(node.test, "TYPE_CHECKING") else node
    def visit_ImportFrom(self, node):
        if node.module == "__future__":  # annotations are no text then, but the None itself
            node.names = [each for each in node.names if each.name != "annotations"]
        return node if node.names else None
for line in sys.stdin.read().splitlines():
    source, target, shown = line.split("\\t")
    with open(source, "rb") as file:
        data = file.read()
    tree = ast.fix_missing_locations(WithoutTypes().visit(ast.parse(data, shown)))
    code = compile(tree, shown, "exec", dont_inherit=True, optimize=2)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + UNCHECKED_HASH)
        file.write(importlib.util.source_hash(data) + marshal.dumps(code))
"""


def compile_all(sources: Mapping[str, bytes], python: Python) -> dict[str, bytes]:
    """Return the bytecode of every .py in `sources` (content by path in the layer), by path.

    The same bytes on every call: one fresh process with nothing in its environment but a hash
    seed (frozensets are written in hash order, and -I would ignore the seed), the same files in
    the same order, names relative to the working directory. (What marshal writes depends on
    reference counts, thus on everything the process did before.) A Python in a container runs
    the same way, and writes the same bytes.
    """
    targets = {name: cached(name, python) for name in sorted(sources) if name.endswith(".py")}
    with tempfile.TemporaryDirectory(prefix="lamella-") as folder:
        for name in targets:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sources[name])
        lines = [f"{name}\t{target}\t{INSTALLED_AT}{name}" for name, target in targets.items()]
        subprocess.run(
            [*containers.command(python, Path(folder)), *_OPTIONS, "-c", _COMPILE],
            input="\n".join(lines).encode(),
            cwd=folder,
            # the docker command reads its own settings from the environment, and passes none on
            env={**(os.environ if python.image else {}), "PYTHONHASHSEED": "0"},
            check=True,
        )
        return {target: Path(folder, target).read_bytes() for target in targets.values()}


def cached(name: str, python: Python) -> str:
    """Return where `python` looks for the bytecode of the module at `name`."""
    path = PurePosixPath(name)
    tag = f"cpython-{python.version[0]}{python.version[1]}"
    return str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")
