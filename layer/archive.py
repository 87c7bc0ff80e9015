"""The layer as a zip file: the same bytes for the same content, and back to a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

EXECUTABLES = frozenset({"bootstrap"})

_REGULAR_FILE = 0o100000
_UNIX = 3


def mode(name: str) -> int:
    """Return the permission bits of `name`: Lambda's user is neither owner nor group."""
    return 0o755 if name in EXECUTABLES else 0o644


def write(content: Mapping[str, bytes], path: Path) -> None:
    """Write `content` (bytes by name) to the zip at `path`; neither clock nor umask matter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(content):
            archive.writestr(_entry(name), content[name], zipfile.ZIP_DEFLATED, 9)


def unpack(path: Path, folder: Path) -> None:
    """Unpack the zip at `path` into `folder`, with the modes that Lambda would give."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            target = Path(archive.extract(entry, folder))
            target.chmod(entry.external_attr >> 16 & 0o777)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.create_system = _UNIX
    entry.external_attr = (_REGULAR_FILE | mode(name)) << 16
    return entry
