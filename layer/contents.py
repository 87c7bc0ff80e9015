"""What is in a layer's zip, read with suspicion: it may come from anywhere."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from layer import BuildError

MANIFEST = "lamella/manifest.json"
SBOM = "lamella/sbom.cdx.json"

MOST_BYTES = 250 * 1024 * 1024
"""What Lambda unpacks at most (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html);
a zip that claims more is not read."""


class Contents(NamedTuple):
    """The files of a layer by name, their permission bits, and what its manifest says."""

    files: dict[str, bytes]
    modes: dict[str, int]
    manifest: dict[str, Any]


def read(path: Path) -> Contents:
    """Return what the zip at `path` holds.

    Raises BuildError when it is no zip, is no layer of ours (has no readable manifest), or
    could unpack to something else than it seems: a name that is there twice or leaves the
    folder, a link, or more than Lambda unpacks.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _refuse_tricks(entries, path)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (OSError, zipfile.BadZipFile) as error:
        raise BuildError(f"{path} is no zip file that can be read: {error}") from None
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in entries}
    return Contents(files, modes, _manifest(files, path))


def changed(layer: Contents) -> list[str]:
    """Return the names of files that are not as the layer's own manifest lists them."""
    listed = layer.manifest["files"]
    return sorted(
        name
        for name, entry in listed.items()
        if name not in layer.files
        or hashlib.sha256(layer.files[name]).hexdigest() != entry["sha256"]
    )


def added(layer: Contents) -> list[str]:
    """Return the names of files that the layer's own manifest does not list.

    A signature is one; anything that Lambda or Python would load is not.
    """
    return sorted(layer.files.keys() - layer.manifest["files"].keys() - {MANIFEST})


def _manifest(files: dict[str, bytes], path: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(files[MANIFEST])
        manifest["version"], manifest["files"].items(), manifest["bytecode"].items()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BuildError(
            f"{path} is not a layer of Lamella: it has no readable {MANIFEST}"
        ) from None
    return manifest


def _refuse_tricks(entries: list[zipfile.ZipInfo], path: Path) -> None:
    names = [entry.filename for entry in entries]
    bad = {name for name, count in Counter(names).items() if count > 1}
    bad |= {name for name in names if name.startswith("/") or ".." in name.split("/")}
    bad |= {entry.filename for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)}
    if bad:
        raise BuildError(
            f"{path} has names that are there twice, links, or names outside of it: "
            f"{', '.join(sorted(bad))}. The build makes none of these"
        )
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES:
        raise BuildError(f"{path} unpacks to {size:,} bytes; Lambda takes at most {MOST_BYTES:,}")
