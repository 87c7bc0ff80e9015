"""The rooms of docs/design.md, section 3, and who may know whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "lamina"

VALUES = {"types", "errors"}

MAY_IMPORT = {
    "sources": VALUES,
    "asgi": VALUES | {"leftovers"},
    "response": VALUES,
    "interfaces": VALUES,
    "settings": VALUES | {"values"},
    "importer": VALUES,
    "invocation": VALUES,
    "leftovers": set(),
    "freeze": set(),
    "loops": VALUES,
    "supervision": VALUES | {"asgi", "leftovers", "settings"},
    "served": VALUES | {"settings"},
    "service": VALUES
    | {"asgi", "interfaces", "response", "served", "settings", "sources", "websocket"},
    "websocket": VALUES
    | {"asgi", "invocation", "leftovers", "response", "served", "settings", "sources", "values"},
}
"""Rooms whose knowledge is limited; the others may know all but `local` and `testing`."""

OUTSIDE_THE_LAYER = {"local", "testing", "__main__"}


def room(path: Path) -> str:
    """The first part of a module's path inside the package."""
    return path.relative_to(SRC).with_suffix("").parts[0]


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports at run time, by full name."""
    return frozenset(_imports(ast.parse(path.read_text()), path))


def _imports(tree: ast.AST, path: Path) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = ["lamina", *path.relative_to(SRC).parts[: -node.level]] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        yield from _imports(node, path)


def rooms_of(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports(path) if name.startswith("lamina.")}
    return {name for name in names if (SRC / name).is_dir() or (SRC / f"{name}.py").exists()}


MODULES = sorted(SRC.rglob("*.py"))
IN_THE_LAYER = [path for path in MODULES if room(path) not in OUTSIDE_THE_LAYER]


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_knows_only_what_it_may(name: str) -> None:
    known = set().union(*(rooms_of(path) for path in MODULES if room(path) == name))
    assert known - {name} <= MAY_IMPORT[name]


def test_the_layer_knows_nothing_that_is_not_in_it() -> None:
    for path in IN_THE_LAYER:
        assert not rooms_of(path) & OUTSIDE_THE_LAYER, path


def test_rooms_know_each_other_in_one_direction() -> None:
    graph: dict[str, set[str]] = {}
    for path in IN_THE_LAYER:
        if path.name != "__init__.py" or path.parent != SRC:  # the package's face knows all
            graph.setdefault(room(path), set()).update(rooms_of(path) - {room(path)})
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def test_sources_are_pure() -> None:
    for path in MODULES:
        if room(path) == "sources":
            tops = {name.split(".")[0] for name in imports(path)}
            assert not tops & {"asyncio", "os", "logging", "pathlib", "time"}, path


def test_only_ric_knows_awslambdaric() -> None:
    knowing = {
        path.relative_to(SRC).as_posix()
        for path in IN_THE_LAYER
        if any("awslambdaric" in name for name in imports(path))
    }
    assert knowing == {"runtime/ric.py"}


def test_the_layer_needs_the_standard_library_only() -> None:
    import sys

    allowed = {*sys.stdlib_module_names, "lamina", "__future__", "awslambdaric"}
    # The function's, where it has them.
    optional = {"uvloop", "a2wsgi", "snapshot_restore_py", "channels"}
    optional |= {"asyncpg", "psycopg", "redis", "valkey"}
    for path in IN_THE_LAYER:
        tops = {name.split(".")[0] for name in imports(path)}
        assert tops <= allowed | optional, path
