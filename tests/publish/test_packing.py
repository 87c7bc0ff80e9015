"""`make verify` refuses a zip that could unpack to something else than it shows.

Programs read a zip in two ways, by its directory at the end and from the front, entry by entry.
What only one of them finds is hidden from the other.
"""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lamella.local.machine.layer import LayerError
from lamella.tools.layer import contents
from layer import verify
from tests.publish.conftest import write_layer

HIDDEN = "python/sitecustomize.py"


def hidden_entry() -> bytes:
    """A file as it stands in a zip, without its line in the directory."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(HIDDEN, b"import os")
        end = archive.start_dir
    return made.getvalue()[:end]


def before(raw: bytes) -> bytes:
    return b"#!/bin/sh\nexit 1\n" + raw


def behind(raw: bytes) -> bytes:
    return raw + b"more"


def comment_on_the_zip(raw: bytes) -> bytes:
    return raw[:-2] + struct.pack("<H", 4) + b"more"


def between_entries_and_directory(raw: bytes) -> bytes:
    """The end says where the directory begins, so what stands before it need not be an entry."""
    start, more = struct.unpack("<L", raw[-6:-2])[0], hidden_entry()
    moved = struct.pack("<L", start + len(more))
    return raw[:start] + more + raw[start:-6] + moved + raw[-2:]


def between_directory_and_end(raw: bytes) -> bytes:
    size = struct.unpack("<L", raw[-10:-6])[0]
    return raw[:-22] + bytes(8) + raw[-22:-10] + struct.pack("<L", size + 8) + raw[-6:]


def fewer_than_the_directory_has(raw: bytes) -> bytes:
    count = struct.unpack("<H", raw[-12:-10])[0]
    return raw[:-14] + struct.pack("<2H", count - 1, count - 1) + raw[-10:]


def another_checksum_at_the_front(raw: bytes) -> bytes:
    return raw[:14] + b"\0\0\0\0" + raw[18:]


def another_name_at_the_front(raw: bytes) -> bytes:
    return raw.replace(b"bootstrap", b"b00tstrap", 1)


@pytest.mark.parametrize(
    "change",
    [
        before,
        behind,
        comment_on_the_zip,
        between_entries_and_directory,
        between_directory_and_end,
        fewer_than_the_directory_has,
        another_checksum_at_the_front,
        another_name_at_the_front,
    ],
)
def test_bytes_that_the_directory_does_not_account_for(
    tmp_path: Path, change: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_layer(tmp_path / "layer.zip")
    path.write_bytes(change(path.read_bytes()))
    assert verify.main([str(path)]) == 1
    assert f"{path} " in capsys.readouterr().err
    with pytest.raises(
        LayerError, match=r"could unpack to something else than it shows|no zip file"
    ):
        contents.read(path)


def entry(name: str, mode: int = stat.S_IFREG | 0o644, **more: object) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system = 3
    made.external_attr = mode << 16
    for attribute, value in more.items():
        setattr(made, attribute, value)
    return made


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([entry("bootstrap"), entry("bootstrap")], "bootstrap is there twice"),
        ([entry("python"), entry("python/a.py")], "python is a file and a folder"),
        ([entry("../bootstrap")], "'../bootstrap' is no plain path"),
        ([entry("/bootstrap")], "'/bootstrap' is no plain path"),
        ([entry("./bootstrap")], "'./bootstrap' is no plain path"),
        ([entry("python//a.py")], "'python//a.py' is no plain path"),
        ([entry("python\\a.py")], r"'python\\\\a.py' is no plain path"),
        ([entry("python/a\n.py")], r"'python/a\\n.py' is no plain path"),
        ([entry("bootstrap", stat.S_IFLNK | 0o777)], r"bootstrap is no file \(mode 120777\)"),
        ([entry("python/", stat.S_IFDIR | 0o755)], r"python/ is no file \(mode 40755\)"),
        ([entry("bootstrap", stat.S_IFIFO | 0o644)], r"bootstrap is no file \(mode 10644\)"),
        ([entry("bootstrap", stat.S_IFREG | 0o4755)], r"bootstrap has the mode 104755"),
        ([entry("bootstrap", stat.S_IFREG | 0o666)], r"bootstrap has the mode 100666"),
        ([entry("bootstrap", create_system=0)], "bootstrap has its mode in the words of another"),
        ([entry("bootstrap", comment=b"more")], "bootstrap has a comment"),
        (
            [entry("bootstrap", extra=struct.pack("<HHBL3s", 0x7075, 8, 1, 0, b"usr"))],
            "bootstrap has a field of the type 0x7075",  # another name
        ),
    ],
)
def test_names_modes_and_remarks_that_the_build_never_makes(
    tmp_path: Path, entries: list[zipfile.ZipInfo], why: str
) -> None:
    path = tmp_path / "layer.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
        for each in entries:
            archive.writestr(each, b"")
    with pytest.raises(LayerError, match=f"could unpack to something else than it shows: {why}"):
        contents.read(path)


def test_bytes_behind_the_end_of_what_is_compressed(tmp_path: Path) -> None:
    """The directory's sizes account for them, and no reader shows them."""
    data = b"#!/bin/sh\n"
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(data) + compressor.flush() + hidden_entry()
    path = tmp_path / "layer.zip"
    made = entry("bootstrap")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(made, packed)
        made.compress_type, made.file_size, made.CRC = 8, len(data), zlib.crc32(data)
    raw = bytearray(path.read_bytes())
    raw[8:10] = struct.pack("<H", 8)
    raw[14:18], raw[22:26] = struct.pack("<L", made.CRC), struct.pack("<L", len(data))
    path.write_bytes(raw)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("bootstrap") == data
    with pytest.raises(LayerError, match="bootstrap holds more than it unpacks to"):
        contents.read(path)


def test_an_encrypted_file(tmp_path: Path) -> None:
    path = tmp_path / "layer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        made = entry("bootstrap")
        archive.writestr(made, b"x")
        made.flag_bits |= 1
    with pytest.raises(LayerError, match="bootstrap is encrypted or packed in a way"):
        contents.read(path)


def test_what_other_programs_write_is_read(tmp_path: Path) -> None:
    """As a signature's does: sizes behind the data, times of its own, stored as it is."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.written += bytes(data)  # type: ignore[call-overload]  # any buffer
            return len(bytes(data))  # type: ignore[call-overload]

    path = write_layer(tmp_path / "layer.zip")
    expected = contents.read(path).files
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for number, (name, data) in enumerate(expected.items()):
            time = struct.pack("<HHBL", 0x5455, 5, 1, 1_700_000_000)
            how = zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED
            archive.writestr(entry(name, extra=time, compress_type=how), data)
    path.write_bytes(pipe.written)
    assert contents.read(path).files == expected


def test_a_zip_that_lambda_could_not_unpack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MOST_BYTES", 1000)
    path = tmp_path / "layer.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry("zeros"), bytes(2000))
    with pytest.raises(LayerError, match="unpacks to 2,000 bytes; Lambda takes at most 1,000"):
        contents.read(path)
