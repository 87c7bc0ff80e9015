"""What several deploy tools need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from layer import build
from tests.deploy.projects import ROOT


@pytest.fixture(scope="session")
def layer_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with the package lamella_layer in it, as its wheel has it."""
    folder = tmp_path_factory.mktemp("site-packages")
    package = shutil.copytree(ROOT / "layer/distribution/lamella_layer", folder / "lamella_layer")
    if not build.ZIP.exists():
        build.build(ROOT, build.ZIP)
    shutil.copy(build.ZIP, package)
    return folder
