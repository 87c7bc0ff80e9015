"""What is in a layer's zip, read with suspicion: it may come from anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from lamella.local.machine.layer import LayerError
from lamella.tools.layer import packing

MANIFEST = "lamella/manifest.json"

MOST_BYTES = 250 * 1024 * 1024
"""What Lambda unpacks at most (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html);
a zip that claims more is not read."""

SHOWN = 5
"""How many oddities are shown."""

LOADED = ("bin/", "bootstrap", "extensions/", "lamella/", "lib/", "python/")
"""Where Lambda, Python and the bootstrap look for what they run."""


class Contents(NamedTuple):
    """The files of a layer by name, their permission bits, and what its manifest says."""

    files: dict[str, bytes]
    modes: dict[str, int]
    manifest: dict[str, Any]


def read(path: Path) -> Contents:
    """Return what the zip at `path` holds.

    Raises LayerError when it is no zip, is no layer of ours (has no readable manifest), has more
    than Lambda unpacks, or could unpack to something else than it shows (see `packing`).
    """
    try:
        raw = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > MOST_BYTES:
                raise LayerError(
                    f"{path} unpacks to {size:,} bytes; Lambda takes at most {MOST_BYTES:,}"
                )
            odd = list(packing.odd_entries(entries)) or list(packing.hidden_bytes(raw, archive))
            if odd:
                more = f", and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
                raise LayerError(
                    f"{path} could unpack to something else than it shows: "
                    f"{'; '.join(odd[:SHOWN])}{more}. The build makes no such zip"
                )
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (OSError, zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise LayerError(f"{path} is no zip file that can be read: {error}") from None
    try:
        manifest: dict[str, Any] = json.loads(files[MANIFEST])
        manifest["version"], manifest["bytecode"].items()
        for entry in manifest["files"].values():
            entry["sha256"].encode()
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise LayerError(
            f"{path} is not a layer of Lamella: it has no readable {MANIFEST}"
        ) from None
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in entries}
    return Contents(files, modes, manifest)


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

    Those of a signature are fine.
    """
    return sorted(layer.files.keys() - layer.manifest["files"].keys() - {MANIFEST})


def altered(layer: Contents) -> list[str]:
    """Return the names that make it another layer than the one that was built.

    Files that are changed or lost, and added ones that Lambda or Python would load.
    """
    return changed(layer) + [name for name in added(layer) if name.startswith(LOADED)]
