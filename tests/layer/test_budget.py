"""The size limits of layer/budget.toml."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from layer import BuildError, archive, budget
from layer.budget import Budget

ROOMY = Budget(*[1_000_000] * 5)
TEXT = (
    "[zip]\nlimit = 1_000\n[unpacked]\nlimit = 2_000\n[minor]\nlimit = 3_000\n"
    "[start]\nlimit = 4_000\n[files]\nlimit = 5\n"
)


def test_the_layer_keeps_within_its_budget(layer_zip: Path) -> None:
    sizes = budget.check(layer_zip, budget.load())
    assert sizes.zip == layer_zip.stat().st_size
    assert sizes.unpacked > sizes.zip > sum(sizes.minors.values()) > 0


def test_every_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "budget.toml"
    path.write_text(TEXT)
    assert budget.load(path) == Budget(1000, 2000, 3000, start=4000, files=5)


@pytest.mark.parametrize("text", ["[zip]\n", TEXT.replace("2_000", '"2 KB"')])
def test_a_limit_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "budget.toml"
    path.write_text(text)
    with pytest.raises(BuildError, match=rf"{re.escape(str(path))} needs \[(zip|unpacked)\] with"):
        budget.load(path)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ROOMY._replace(zip=900), r"layer\.zip has [\d,]+ bytes, the limit is 900\."),
        (ROOMY._replace(unpacked=900), r"unpacked it has 50,005 bytes, the limit is 900\."),
        (ROOMY._replace(minor=900), r"bytecode for 3\.13 has [\d,]+ bytes, the limit is 900\."),
    ],
)
def test_a_broken_limit_names_the_largest_files(
    tmp_path: Path, limits: Budget, message: str
) -> None:
    path = tmp_path / "layer.zip"
    pyc = "python/lamella/__pycache__/huge.cpython-313.pyc"
    archive.write({"small": b"small", pyc: os.urandom(50_000)}, path)
    budget.check(path, ROOMY)
    with pytest.raises(BuildError, match=rf"(?s){message}.*\n *\d[\d,]+  {pyc}\n"):
        budget.check(path, limits)
    assert path.exists(), "it is there to be looked at"
