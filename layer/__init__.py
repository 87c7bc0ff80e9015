"""Builds the layer: `python -m layer.build` (standard library only).

It imports nothing of the package that it packs, because it runs where nothing is installed. So it
finds interpreters and unpacks a zip itself, as `lamella.local` does for the command. `layer.verify`
alone imports the package: it shares the suspicious reader of zips with `lamella layer verify`.
"""

from __future__ import annotations


class BuildError(Exception):
    """The layer cannot be built; the message says why and what to do."""
