"""Folders of packages for a Python that is not the one the tests run on, installed once."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from layer import pythons, vendor
from layer.pythons import Python

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "packages"

_FOUND = pythons.find()
USUAL = next((each for each in reversed(_FOUND) if each.version < (3, 14)), _FOUND[-1])
"""The Python of tests that are about something else: wheels may come late for a newer one."""


def installed(python: Python, name: str, *requirements: str) -> Path:
    """The folder that holds `requirements` for `python`, as `pip install --target` makes it.

    Kept between runs, under a name that changes with the requirements; safe to ask for from
    several processes at once.
    """
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:8]
    folder = CACHE / f"{name}-{python.minor}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(python, folder, requirements)
    return folder


def awslambdaric(python: Python) -> Path:
    """The folder that holds AWS's runtime, in the version of which the layer has parts."""
    version, _ = vendor.pin(ROOT / "layer" / "requirements.txt")
    return installed(python, "awslambdaric", f"awslambdaric=={version}")


def uvloop(python: Python) -> Path:
    """The folder that holds uvloop; skips where it would have to be compiled."""
    if python.version >= (3, 15):
        pytest.skip(f"uvloop 0.22.1 has no wheel for Python {python.minor}")
    return installed(python, "uvloop", "uvloop==0.22.1")


def _install(python: Python, folder: Path, requirements: tuple[str, ...]) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    # Not pip: sixty folders took it minutes, and Debian's Pythons have none.
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python.path]
    subprocess.run([*command, "--target", unfinished, *requirements], check=True, timeout=600)
    unfinished.rename(folder)
