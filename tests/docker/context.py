"""What the engine gets to build an image from: the entries of a tar."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Entry:
    """A file of the context, by its path there: `source` on this machine, or `content` itself.

    `kind` is a tarfile type; `content` holds a link's target.
    """

    name: str
    source: Path | None = None
    content: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE

    def below(self, folder: str) -> Entry:
        """The same in `folder`."""
        return replace(self, name=f"{folder}/{self.name}")


def data(name: str, content: bytes, mode: int = 0o644) -> Entry:
    """A file that is nowhere on this machine."""
    return Entry(name, content=content, mode=mode)


def folder(name: str, mode: int = 0o755) -> Entry:
    """An empty folder."""
    return Entry(name, mode=mode, kind=tarfile.DIRTYPE)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, content=target.encode(), kind=tarfile.SYMTYPE)


def tree(source: Path, name: str) -> Iterator[Entry]:
    """Every file below `source`, below `name`; links are followed."""
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield Entry(f"{name}/{path.relative_to(source).as_posix()}", path)


def fingerprint(entries: Iterable[Entry]) -> str:
    """A hash, in hexadecimal, that changes with the entries; of files the size and date count."""
    digest = hashlib.sha256()
    for entry in entries:
        stat = entry.source.stat() if entry.source else None
        facts = (stat.st_size, int(stat.st_mtime), stat.st_mode) if stat else ()
        digest.update(repr((entry, facts)).encode())
    return digest.hexdigest()


def write(entries: Iterable[Entry], file: IO[bytes]) -> None:
    """Write the tar to `file`, and rewind it."""
    with tarfile.open(fileobj=file, mode="w") as tar:
        for entry in entries:
            _add(tar, entry)
    file.seek(0)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.name)
    info.type, info.mode = entry.kind, entry.mode
    content = entry.content
    if entry.source is not None:
        content = entry.source.read_bytes()
        info.mode = 0o755 if os.access(entry.source, os.X_OK) else 0o644
        # Python compares the date with the one in the standard library's bytecode
        info.mtime = int(entry.source.stat().st_mtime)
    if entry.kind == tarfile.SYMTYPE:
        info.linkname = content.decode()
    elif entry.kind == tarfile.REGTYPE:
        info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
