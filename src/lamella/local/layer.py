"""The layer on this machine: a directory as it is, or a zip unpacked the way Lambda does."""

from __future__ import annotations

import contextlib
import shutil
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
    with contextlib.ExitStack() as stack:
        layer = path.resolve()
        if not path.is_dir():
            layer = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lamella-layer-")))
            unpack(path, layer)
        if not (layer / "bootstrap").is_file():
            raise LayerError(f"{path} holds no file `bootstrap`, so it is not Lamella's layer")
        yield layer


def unpack(layer: Path, directory: Path) -> None:
    """Put what `layer` holds, a folder or a zip, into `directory`, as Lambda does with /opt.

    Raises LayerError.
    """
    try:
        if layer.is_dir():
            shutil.copytree(layer, directory, dirs_exist_ok=True)
            return
        with zipfile.ZipFile(layer) as archive:
            for entry in archive.infolist():
                unpacked = Path(archive.extract(entry, directory))
                # zipfile forgets the modes, of which the bootstrap's executable bit matters.
                if mode := entry.external_attr >> 16 & 0o777:
                    unpacked.chmod(mode | 0o600)  # the next layer may have the same file
    except (OSError, zipfile.BadZipFile, shutil.Error) as error:
        raise LayerError(f"{layer} is no usable layer: {error}") from error
