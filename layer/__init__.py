"""Builds the layer: `python -m layer.build` (standard library only)."""

from __future__ import annotations


class BuildError(Exception):
    """The layer cannot be built; the message says why and what to do."""
