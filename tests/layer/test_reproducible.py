"""Two builds from the same commit are the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layer.conftest import ROOT


@pytest.mark.parametrize(
    ("umask", "environment"),
    [
        pytest.param(0o077, {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1"}, id="tokyo"),
        pytest.param(0o000, {"TZ": "America/Lima", "PYTHONHASHSEED": "77"}, id="lima"),
    ],
)
def test_a_build_elsewhere_is_identical(
    layer_zip: Path, tmp_path: Path, umask: int, environment: dict[str, str]
) -> None:
    copy = tmp_path / "a folder with another, longer name"
    for name in ["bootstrap", "build/cache", "layer", "src"]:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", copy)
    subprocess.run(
        [sys.executable, "-m", "layer.build"],
        cwd=copy,
        env={**os.environ, **environment},
        umask=umask,
        check=True,
    )
    assert (copy / "dist" / "lamina-layer.zip").read_bytes() == layer_zip.read_bytes()
