"""What every test folder shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from layer import archive, build, pythons


@pytest.fixture
def anyio_backend() -> str:
    """Lambda's loop is asyncio's."""
    return "asyncio"


@pytest.fixture(scope="session")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer, built from this tree and unpacked, as Lambda does at /opt."""
    folder = tmp_path_factory.mktemp("layer")
    path = folder / "lamella-layer.zip"
    build.build(build.ROOT, path)
    archive.unpack(path, folder / "opt")
    return folder / "opt"


@pytest.fixture(scope="session", params=pythons.find(), ids=lambda python: str(python.minor))
def python(request: pytest.FixtureRequest) -> pythons.Python:
    """Each supported Python of this machine."""
    found: pythons.Python = request.param
    return found
