"""Puts into the package's wheel and sdist what the layer has besides the sources: awslambdaric.

Lamella uses four pure modules of it. They come out of the wheel that layer/requirements.txt pins
by hash, under a private name, as in the layer (layer/vendor.py). So the package depends on
nothing: awslambdaric among a function's own packages would take the place of the managed
runtime's, which is why it is no dependency.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class VendoredParts(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's configuration
    """Adds `lamella/_awslambdaric`, with its licences, to wheel and sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Take the parts out of the pinned wheel; an sdist has them already."""
        root = Path(self.root)
        package = root / "src" / "lamella"
        if version == "editable":  # awslambdaric itself serves, which requirements/dev.in names
            return
        sys.path.insert(0, self.root)
        from layer import vendor

        place = "src/lamella" if self.target_name == "sdist" else "lamella"
        if (package / vendor.PRIVATE_NAME).is_dir():  # in an unpacked sdist
            return
        wheel = vendor.wheel(root / "layer" / "requirements.txt", root / "build" / "cache")
        self._folder = tempfile.TemporaryDirectory(prefix="lamella-build-")
        parts = vendor.sources(wheel) | vendor.licenses(wheel)
        for name, data in parts.items():
            path = Path(self._folder.name, name)
            path.write_bytes(data)
            build_data["force_include"][str(path)] = f"{place}/{vendor.PRIVATE_NAME}/{name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
