"""What is in the layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from layer import build, pythons

ROOT = build.ROOT


@pytest.fixture(scope="session")
def content(layer_zip: Path) -> dict[str, bytes]:
    """Every file of the zip, by name."""
    with ZipFile(layer_zip) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture(scope="session")
def manifest(content: dict[str, bytes]) -> dict[str, Any]:
    """The layer's own account of itself."""
    value: dict[str, Any] = json.loads(content["lamella/manifest.json"])
    return value


@pytest.fixture(scope="session", params=pythons.find(), ids=lambda python: str(python.minor))
def python(request: pytest.FixtureRequest) -> pythons.Python:
    """Each supported Python of this machine."""
    found: pythons.Python = request.param
    return found
