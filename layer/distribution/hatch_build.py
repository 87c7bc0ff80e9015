"""Puts the zip that `make layer` has made into wheel and sdist. An sdist has it already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Layer(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's configuration
    """Adds `lamella_layer/lamella-layer.zip`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Take the zip from the repository's dist/, where the package has none."""
        name = "lamella_layer/lamella-layer.zip"
        here = Path(self.root, name)
        built = Path(self.root, "../../dist/lamella-layer.zip").resolve()
        if not here.exists() and not built.exists():
            raise FileNotFoundError(f"{built} is not there: run make layer in the repository.")
        build_data["force_include"][str(here if here.exists() else built)] = name
