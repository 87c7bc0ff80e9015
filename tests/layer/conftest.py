"""The layer, built once for all tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from layer import archive, build, pythons

ROOT = build.ROOT


@pytest.fixture(scope="session")
def layer_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip file, built from this repository."""
    path = tmp_path_factory.mktemp("layer") / "lamella-layer.zip"
    build.build(ROOT, path)
    return path


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


@pytest.fixture(scope="session")
def opt(layer_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer unpacked, as Lambda does at /opt."""
    folder = tmp_path_factory.mktemp("opt")
    archive.unpack(layer_zip, folder)
    return folder


@pytest.fixture(params=pythons.find(), ids=lambda python: str(python.minor))
def python(request: pytest.FixtureRequest) -> pythons.Python:
    """Each supported Python of this machine."""
    value: pythons.Python = request.param
    return value
