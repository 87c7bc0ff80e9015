"""A layer unpacked into a folder that may hold an older one, as a deploy tool's folder does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lamella.local.machine.layer import LayerError, unpack
from lamella.tools.layer.contents import MANIFEST


class Replaced(NamedTuple):
    """What became of the older layer's files that the new layer does not have, by name."""

    removed: list[str]
    kept: list[str]
    """Those that somebody has changed since: no file of the older layer any more."""


def replace(layer: Path, directory: Path) -> Replaced:
    """Unpack `layer` into `directory`, and remove what is left there of an older one.

    Only files that the older layer's manifest lists, and as it lists them, are removed.
    Raises LayerError.
    """
    if layer.resolve() == directory.resolve():
        raise LayerError(f"{directory} is the layer itself: name another folder.")
    older = _listed(directory)
    unpack(layer, directory)
    newer = _listed(directory)
    try:
        return _removed(directory.resolve(), {n: older[n] for n in older.keys() - newer.keys()})
    except OSError as error:
        raise LayerError(
            f"{directory} has a file of an older layer that cannot be removed: {error}. Remove it, "
            "or name another folder."
        ) from error


def _removed(root: Path, hashes: dict[str, str]) -> Replaced:
    """Remove the files of these names and hashes below `root`. Raises OSError."""
    done = Replaced([], [])
    for name in sorted(hashes):
        path = root / name
        if path.resolve() != path or not path.is_file():  # a link leads to what is no layer's
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() != hashes[name]:
            done.kept.append(name)
            continue
        path.unlink()
        done.removed.append(name)
        for folder in path.relative_to(root).parents[:-1]:
            if any((root / folder).iterdir()):
                break
            (root / folder).rmdir()
    return done


def _listed(directory: Path) -> dict[str, str]:
    """The sha256 of each file by name, as the manifest in `directory` has it; {} without one."""
    try:
        files = json.loads((directory / MANIFEST).read_bytes())["files"]
        hashes = {name: entry["sha256"] for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    # The manifest may come from anywhere, and leads to nothing outside of the folder, nor by
    # another name to a file of the new layer.
    paths = {name: PurePosixPath(name) for name in hashes if "\0" not in name}
    return {
        name: hashes[name]
        for name, path in paths.items()
        if str(path) == name and not path.is_absolute() and ".." not in path.parts
    }
