"""The house of docs/design.md, section 3: what its table says is what is enforced.

Type-only imports count: a room whose types another one needs is known to it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from docs import house
from layer.build import NOT_IN_THE_LAYER, TYPES

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "lamella"
PAGE = (ROOT / "docs" / "design.md").read_text()

FACE = "__init__"
"""The package's own module: it names what users import, and imports it on first use."""

ROOMS = {room.name: set(room.imports) for room in house.table(PAGE).values()}
BELOW = {room.name for room in house.table(PAGE).values() if room.below}
MODULES = sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    """The first part of a module's path inside the package."""
    return path.relative_to(SRC).with_suffix("").parts[0]


def name_of(path: Path) -> str:
    """A module's full name; a package's is its folder's."""
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


BY_NAME = {name_of(path): path for path in MODULES}


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, by full name, wherever and for whatever it does so."""
    return frozenset(_imports(ast.parse(path.read_text()), path))


def _imports(tree: ast.AST, path: Path) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide which room they lead to"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in BY_NAME else node.module


def rooms_of(path: Path) -> set[str]:
    names = {name for name in imports(path) if name.startswith("lamella.")}
    return {name.split(".")[1] for name in names} - {"_awslambdaric"}


def test_the_picture_is_the_table() -> None:
    assert house.PICTURE.read_text() == house.draw(house.table(PAGE)), "run python docs/house.py"


def test_the_picture_leaves_out_what_another_arrow_implies() -> None:
    small = house.table(
        "| `ground` | | |\n"
        "| `wall` | | `ground` |\n"
        "| `window` | | |\n"
        "| `roof` | | `wall`, `window`, `ground` |\n"
    ).values()
    assert house.arrows(small) == [("wall", "ground"), ("roof", "wall"), ("roof", "window")]
    names = [[room.name for room in floor] for floor in house.floors(small)]
    assert names == [["ground"], ["wall", "window"], ["roof"]], "each as high as its users allow"


def test_the_table_has_every_room_and_no_other() -> None:
    found = {room(path) for path in MODULES} - {FACE}
    assert set(ROOMS) == found


def test_what_is_below_the_line_is_what_the_build_leaves_out() -> None:
    assert BELOW == NOT_IN_THE_LAYER
    assert all((SRC / name).is_dir() for name in BELOW)


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_knows_what_the_table_says(name: str) -> None:
    known = set().union(*(rooms_of(path) for path in MODULES if room(path) == name)) - {name}
    assert known == ROOMS[name]


def test_the_layer_knows_nothing_that_is_not_in_it() -> None:
    for path in MODULES:
        if room(path) not in BELOW:
            assert not rooms_of(path) & BELOW, path


def test_what_only_type_checkers_read_is_imported_for_them_alone() -> None:
    module = f"lamella.{Path(TYPES).stem}"
    for path in MODULES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
        assert module not in _imports(tree, path), path


def test_the_local_lambda_knows_nothing_of_the_layer() -> None:
    assert ROOMS["local"] | ROOMS["front_doors"] <= BELOW


def test_the_folders_of_the_local_lambda_know_what_their_table_says() -> None:
    local = SRC / "local"
    known: dict[str, set[str]] = {}
    for path in local.rglob("*.py"):
        folder = path.relative_to(local).with_suffix("").parts[0]
        inside = {name.split(".")[2] for name in imports(path) if name.startswith("lamella.local.")}
        known.setdefault(folder, set()).update(inside - {folder})
    del known[FACE]
    rows = re.findall(r"^\| `local/(\w+)(?:\.py)?` \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE)
    assert known == {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows}
    tuple(TopologicalSorter(known).static_order())  # raises CycleError


def test_rooms_know_each_other_in_one_direction() -> None:
    tuple(TopologicalSorter(ROOMS).static_order())  # raises CycleError


def test_modules_know_each_other_in_one_direction() -> None:
    graph = {
        name: {other for other in imports(path) if other in BY_NAME and other != name}
        for name, path in BY_NAME.items()
        if name != "lamella"
    }
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError


def test_sources_are_pure() -> None:
    for path in MODULES:
        if room(path) == "sources":
            tops = {name.split(".")[0] for name in imports(path)}
            assert not tops & {"asyncio", "os", "logging", "pathlib", "time"}, path


def test_only_ric_knows_awslambdaric() -> None:
    knowing = {
        path.relative_to(SRC).as_posix()
        for path in MODULES
        if room(path) not in BELOW and any("awslambdaric" in name for name in imports(path))
    }
    assert knowing == {"runtime/ric.py"}


def test_the_layer_needs_the_standard_library_only() -> None:
    allowed = {*sys.stdlib_module_names, "lamella", "__future__", "awslambdaric"}
    # The function's, where it has them.
    optional = {"uvloop", "a2wsgi", "snapshot_restore_py", "channels"}
    optional |= {"asyncpg", "psycopg", "redis", "valkey"}
    for path in MODULES:
        if room(path) not in BELOW:
            tops = {name.split(".")[0] for name in imports(path)}
            assert tops <= allowed | optional, path
