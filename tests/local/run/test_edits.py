"""What counts as an edit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamella.local.run.edits import Edits


@pytest.mark.parametrize("built", [".aws-sam/build/Function", "cdk.out/asset.1", ".serverless"])
def test_a_build_beside_the_code_is_no_edit(tmp_path: Path, built: str) -> None:
    folder = tmp_path / built
    folder.mkdir(parents=True)
    edits = Edits([tmp_path], [])
    (folder / "main.py").touch()
    assert edits.taken() == ""
    (tmp_path / "main.py").touch()
    assert edits.taken() == str(tmp_path / "main.py")


def test_a_build_that_is_served_is_watched(tmp_path: Path) -> None:
    folder = tmp_path / ".aws-sam" / "build" / "Function"
    folder.mkdir(parents=True)
    edits = Edits([folder], [])
    (folder / "main.py").touch()
    assert edits.taken() == str(folder / "main.py")
