"""The layer on this machine: a directory as it is, or a zip unpacked the way Lambda does."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

BUILT = Path("dist/lamella-layer.zip")
"""Where `make layer` puts the layer in a checkout."""


class LayerError(Exception):
    """There is no usable layer; the message says what to do."""


def find_layer(given: Path | None = None) -> Path:
    """Lamella's layer, a zip or a folder: the one given, one built here, or the installed one.

    The package `lamella-layer` installs it. Raises LayerError.
    """
    if given is not None:
        if not given.exists():
            raise LayerError(
                f"{given} does not exist: --layer FILE names Lamella's layer, the zip or its "
                "unpacked folder. Without --layer the one of the package lamella-layer is taken."
            )
        return given
    if BUILT.exists():
        return BUILT
    try:
        import lamella_layer
    except ImportError:
        raise LayerError(
            "The package lamella-layer, which holds Lamella's layer, is not installed: "
            'pip install "lamella[local]", or name the layer with --layer FILE. In a checkout of '
            f"Lamella, `make layer` builds {BUILT}."
        ) from None
    return lamella_layer.path()


@contextlib.contextmanager
def opened_layer(given: Path | None) -> Iterator[Path]:
    """The layer's directory, for as long as the context lasts, of what `find_layer` finds.

    Raises LayerError.
    """
    path = find_layer(given)
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

    A link in a zip is a link there, and nothing is written through links that lead out of
    `directory`. Raises LayerError.
    """
    root = directory.resolve()
    try:
        if layer.is_dir():
            _copy(layer, root)
        else:
            _unzip(layer, root)
    except zipfile.BadZipFile as error:
        raise LayerError(f"{layer} is no usable layer: {error}") from error
    except (OSError, ValueError) as error:  # of either side, which its text names
        raise LayerError(f"{layer} cannot be unpacked into {directory}: {error}") from error


def _copy(layer: Path, root: Path) -> None:
    """A folder with what its links lead to, as `sam deploy` zips it."""

    def copied(source: str, target: str) -> None:
        _make_way(Path(target), root)
        shutil.copy2(source, target)

    # A link that leads nowhere here may lead to what only Lambda has.
    shutil.copytree(
        layer, root, copy_function=copied, dirs_exist_ok=True, ignore_dangling_symlinks=True
    )


def _unzip(layer: Path, root: Path) -> None:
    links = []
    with zipfile.ZipFile(layer) as archive:
        for entry in archive.infolist():
            _make_way(root / entry.filename, root)
            unpacked = Path(archive.extract(entry, root))
            # zipfile forgets the modes, of which the bootstrap's executable bit matters.
            mode = entry.external_attr >> 16
            if stat.S_ISLNK(mode):
                links.append(unpacked)
            elif mode & 0o777:
                unpacked.chmod(mode & 0o777 | 0o600)  # the next layer may have the same file
    for link in links:
        target = link.read_bytes()
        link.unlink()
        os.symlink(target, link)


def _make_way(path: Path, root: Path) -> None:
    """Remove a link where a file is to be. Raises LayerError where that is not below `root`."""
    folder = path.parent.resolve()
    if not folder.is_relative_to(root):
        raise LayerError(
            f"{path} would be outside of {root}, in {folder}: remove the link that leads there, "
            "or name another folder"
        )
    if path.is_symlink():
        path.unlink()
