"""Two builds from the same commit are the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from layer import pythons
from tests.layer.conftest import ROOT

TOKYO = (0o077, {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1"})
LIMA = (0o000, {"TZ": "America/Lima", "PYTHONHASHSEED": "77"})


def build_in(folder: Path, umask: int, environment: dict[str, str]) -> bytes:
    """Return the zip that the checkout in `folder` builds."""
    subprocess.run(
        [sys.executable, "-m", "layer.build"],
        cwd=folder,
        # A copy has no folder of what `make pythons` brought.
        env={**os.environ, "PATH": f"{pythons.BROUGHT}:{os.environ['PATH']}", **environment},
        umask=umask,
        check=True,
    )
    return (folder / "dist" / "lamella-layer.zip").read_bytes()


def test_a_build_elsewhere_is_identical(layer_zip: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a folder with another, longer name"
    for name in ["bootstrap", "build/cache", "layer", "src"]:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", copy)
    assert build_in(copy, *TOKYO) == layer_zip.read_bytes()


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None,
    reason="no git, or no checkout to clone: apt-get install git",
)
def test_clean_clones_of_the_same_commit_build_the_same(tmp_path: Path) -> None:
    """Only what is committed, as a release builds it; the clones differ in everything else."""
    built = []
    for name, (umask, environment) in {"a": TOKYO, "another, longer name/b": LIMA}.items():
        clone = tmp_path / name
        _clone(clone, tmp_path, umask)
        shutil.copytree(ROOT / "build" / "cache", clone / "build" / "cache")
        built.append(build_in(clone, umask, environment))
    assert built[0] == built[1]


def _clone(folder: Path, home: Path, umask: int) -> None:
    # git refuses the repository of another user, which it is in some containers, unless the
    # user's own configuration says otherwise.
    config = home / "gitconfig"
    config.write_text("[safe]\n\tdirectory = *\n")
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)],
        env={**os.environ, "GIT_CONFIG_GLOBAL": str(config)},
        umask=umask,
        check=True,
    )
