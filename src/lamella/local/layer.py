"""The layer on this machine: a directory as it is, or a zip unpacked the way Lambda does."""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

DEFAULT = Path("dist/lamella-layer.zip")


class LayerError(Exception):
    """There is no usable layer; the message says what to do."""


@contextlib.contextmanager
def opened_layer(given: Path | None) -> Iterator[Path]:
    """The layer's directory, for as long as the context lasts; None looks for DEFAULT.

    Raises LayerError.
    """
    path = given or DEFAULT
    if not path.exists():
        where = f"{path} does not exist" if given else f"there is no {DEFAULT} here"
        raise LayerError(
            f"{where}: say where Lamella's layer is with --layer FILE, the zip or its unpacked "
            f"folder. `make layer` in a checkout of Lamella builds it, as {DEFAULT}."
        )
    if path.is_dir():
        yield _checked(path.resolve(), path)
        return
    with tempfile.TemporaryDirectory(prefix="lamella-layer-") as directory:
        _unpack(path, Path(directory))
        yield _checked(Path(directory), path)


def _unpack(path: Path, directory: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                unpacked = Path(archive.extract(entry, directory))
                # zipfile forgets the modes, of which the bootstrap's executable bit matters.
                if mode := entry.external_attr >> 16 & 0o777:
                    unpacked.chmod(mode)
    except zipfile.BadZipFile as error:
        raise LayerError(f"{path} is neither a directory nor a zip file: {error}") from error


def _checked(layer: Path, given: Path) -> Path:
    if not (layer / "bootstrap").is_file():
        raise LayerError(f"{given} holds no file `bootstrap`, so it is not Lamella's layer")
    return layer
