"""The layer, as AWS's SAM CLI builds it (`make sam` installs that)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layer.conftest import ROOT

SAM = shutil.which("sam", path=f"{ROOT}/.venv-sam/bin:{os.environ.get('PATH', '')}")

pytestmark = pytest.mark.skipif(SAM is None, reason="SAM CLI is not installed: make sam")


def sam(*arguments: str) -> None:
    environ = {"SAM_CLI_TELEMETRY": "0", "PYTHON": sys.executable}
    command = [str(SAM), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_sam_builds_the_same_layer(content: dict[str, bytes], tmp_path: Path) -> None:
    built = tmp_path / "build"
    sam("build", "LamellaLayer", "--build-dir", str(built))
    layer = built / "LamellaLayer"
    files = [path for path in layer.rglob("*") if path.is_file()]
    assert {path.relative_to(layer).as_posix(): path.read_bytes() for path in files} == content
    assert (layer / "bootstrap").stat().st_mode & 0o777 == 0o755
