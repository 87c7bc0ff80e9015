"""Lamella's prebuilt AWS Lambda layer: the zip that the build made, and where it is."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"


def path() -> Path:
    """The layer's zip file: what `aws lambda publish-layer-version --zip-file` takes."""
    return Path(__file__).with_name("lamella-layer.zip")
