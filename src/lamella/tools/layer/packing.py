"""What a zip could hide: for every reader it is to unpack to what it shows, and to nothing else.

Some programs read a zip by the directory at its end, others from the front, entry by entry. What
only one of them finds is hidden from the other. So every byte has to be accounted for: the entries
of the directory in a row from the first byte on, then the directory, then its end. The format:
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.3.
"""

from __future__ import annotations

import posixpath
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

UNIX = 3
"""The system whose modes an entry has (APPNOTE, 4.4.2)."""

FIELDS = frozenset({0x5455, 0x7875, 0xCAFE})
"""Extra fields that a signature's program may write: times, owners, and the mark of a JAR. Others
can give a file another name or size."""

FLAGS = 0x80E
"""Bits that change nothing of the content: the effort of compression (2, 4), sizes that stand
behind the data (8), names in UTF-8 (0x800)."""

FILES = (0, stat.S_IFREG)
"""Kinds of entries: a mode need not name a kind."""

SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IWGRP | stat.S_IWOTH
"""Bits of a mode that no file of a layer has."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_HEADER = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")


class _Header(NamedTuple):
    """What stands before an entry's name, fields and data (APPNOTE, 4.3.7)."""

    signature: bytes
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    unpacked: int
    name_length: int
    extra_length: int


def odd_entries(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    """Say what is odd about names, modes and remarks: what the build never makes."""
    names = Counter(map(attrgetter("filename"), entries))
    folders = {name[:end] for name in names for end, sign in enumerate(name) if sign == "/"}
    for entry in entries:
        name, mode = entry.filename, entry.external_attr >> 16
        is_file = not (entry.is_dir() or entry.external_attr & 0x10) and stat.S_IFMT(mode) in FILES
        is_alone = name not in folders
        oddities = (
            (names[name] > 1, f"{name} is there twice"),
            (not is_file, f"{name} is no file (mode {mode:o})"),
            (is_file and not is_alone, f"{name} is a file and a folder"),
            (
                is_file and is_alone and not _is_plain(entry),
                f"{entry.orig_filename!r} is no plain path",
            ),
            (mode & SPECIAL, f"{name} has the mode {mode:o}"),
            (
                mode and entry.create_system != UNIX,
                f"{name} has its mode in the words of another system ({entry.create_system})",
            ),
            (entry.comment, f"{name} has a comment"),
            (
                entry.flag_bits & ~FLAGS or entry.compress_type not in METHODS,
                f"{name} is encrypted or packed in a way that the build does not use",
            ),
        )
        yield from (text for is_odd, text in oddities if is_odd)
        yield from _odd_fields(name, entry.extra)


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether every program reads the same path in the entry's name, inside of the zip's folder."""
    name = entry.filename
    # The original may have a NUL, where other programs stop.
    whole = name == entry.orig_filename == posixpath.normpath(name)
    return whole and name.isprintable() and "\\" not in name and not name.startswith(("/", ".."))


def hidden_bytes(raw: bytes, archive: zipfile.ZipFile) -> Iterator[str]:
    """Say which bytes of the zip `raw` its directory, which is `archive`'s, does not account for.

    Nothing is odd about its entries.
    """
    position = length = 0
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    for entry in entries:
        name, sizes = entry.filename, (entry.CRC, entry.compress_size, entry.file_size)
        if entry.header_offset != position:
            yield f"{name} begins at byte {entry.header_offset:,} instead of {position:,}"
            return
        raw_name = entry.orig_filename.encode("utf-8" if entry.flag_bits & 0x800 else "cp437")
        header = _Header._make(_HEADER.unpack_from(raw, position))
        named = position + _HEADER.size
        fields = named + header.name_length
        data = fields + header.extra_length
        position = data + entry.compress_size
        later = bool(entry.flag_bits & 8)
        expected = header._replace(
            signature=b"PK\3\4", flags=entry.flag_bits, method=entry.compress_type
        )
        told = (header.crc, header.packed, header.unpacked)
        allowed = (sizes, (0, 0, 0)) if later else (sizes,)
        if (header, raw[named:fields]) != (expected, raw_name) or told not in allowed:
            yield f"{name} is described in another way before its data than in the directory"
        yield from _odd_fields(name, raw[fields:data])
        if _unpacked_size(raw[data:position], entry) != entry.file_size:
            yield f"{name} holds more than it unpacks to"
        if later:
            position += 4 * raw.startswith(b"PK\7\b", position) + 12
            if raw[position - 12 : position] != struct.pack("<3L", *sizes):
                yield f"{name} has other sizes behind its data than in the directory"
        length += 46 + len(raw_name) + len(entry.extra)
    count, start = len(entries), archive.start_dir
    if position != start:
        yield f"{start - position:,} bytes before its directory are no entry's"
    if raw[start + length :] != _END.pack(b"PK\5\6", 0, 0, count, count, length, start, 0):
        yield "more follows its directory than an end without a comment"


def _unpacked_size(data: bytes, entry: zipfile.ZipInfo) -> int:
    """How many bytes come out of `data`; -1 where something of it is left."""
    if entry.compress_type == zipfile.ZIP_STORED:
        return len(data)
    unpacker = zlib.decompressobj(-15)
    size = len(unpacker.decompress(data, entry.file_size + 1))
    return -1 if unpacker.unused_data or not unpacker.eof else size


def _odd_fields(name: str, extra: bytes) -> Iterator[str]:
    """Say which extra fields (APPNOTE, 4.5) are none of `FIELDS`."""
    while extra:
        kind, size = struct.unpack("<2H", extra[:4].ljust(4, b"\0"))
        if kind not in FIELDS or len(extra) < 4 + size:
            yield f"{name} has a field of the type 0x{kind:04x}"
        extra = extra[4 + size :]
