"""Puts into the package's wheel and sdist what is made at the build: awslambdaric, and the links.

Lamella uses three pure modules of it. They come out of the wheel that layer/requirements.txt pins
by hash, under a private name, as in the layer (layer/vendor.py). So the package depends on
nothing: awslambdaric among a function's own packages would take the place of the managed
runtime's, which is why it is no dependency.

README.md is PyPI's page, too, where its relative links would lead nowhere. The workflow that
releases knows the repository (GITHUB_REPOSITORY); any other build leaves the links alone.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectPage(MetadataHookInterface):
    """Makes the long description of README.md, and the links of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        """With the release's tag in each address: the page of a version shows that version."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if repository := os.environ.get("GITHUB_REPOSITORY"):
            source = Path(self.root, "src/lamella/__init__.py").read_text(encoding="utf-8")
            (version,) = re.findall('^__version__ = "(.+)"$', source, re.MULTILINE)
            home = f"https://github.com/{repository}"
            raw = f"https://raw.githubusercontent.com/{repository}/v{version}/"
            text = re.sub(r"(!\[[^]]*\]\()(?!\w+:)", rf"\g<1>{raw}", text)
            text = re.sub(r"((?<!!)\[[^]]*\]\()(?!#|\w+:)", rf"\g<1>{home}/blob/v{version}/", text)
            metadata["urls"] = {
                "Source": home,
                "Documentation": f"{home}/tree/v{version}/docs",
                "Changelog": f"{home}/blob/v{version}/CHANGELOG.md",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


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
