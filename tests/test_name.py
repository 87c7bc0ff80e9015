"""The project has one name: of the one before, a sentence of the changelog is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLD = "lam" + "ina"

NOT_OURS = {"build", "dist", "node_modules", "__pycache__"}
"""Folders that commands make. Those that begin with a dot are left out too, but these two."""
HIDDEN = {".ci", ".github"}


def files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        hidden = [name for name in folders if name.startswith(".") and name not in HIDDEN]
        folders[:] = sorted({*folders} - NOT_OURS - {*hidden})
        yield from (Path(folder, name) for name in names)


def test_nothing_has_the_old_name() -> None:
    found: dict[str, int] = {}
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        assert OLD not in name.lower()
        if count := path.read_bytes().lower().count(OLD.encode()):
            found[name] = count
    assert found == {"CHANGELOG.md": 1}
