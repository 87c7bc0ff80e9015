"""What is published: the bytes of a layer's zip, and what they say about themselves."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

from lamella.tools.layer import contents
from lamella.tools.layer.publishing import PublishError

LIMIT = 50 * 1024 * 1024
"""How large a zip may be that is uploaded directly, in bytes
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""


class Upload(NamedTuple):
    """A zip file for a layer version, and how the version describes itself."""

    data: bytes
    description: str

    @property
    def sha256(self) -> str:
        """The digest in hexadecimal, as sha256sum prints it."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def code_sha256(self) -> str:
        """The digest as Lambda tells it: in base64."""
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()


class Release(NamedTuple):
    """A built layer; `version` is Lamella's."""

    version: str
    upload: Upload


def load(path: Path) -> Release:
    """Return the layer in the zip at `path`.

    Raises LayerError when it is no layer of ours, and PublishError when it is not as it was built
    (files that a signature added are fine), or too large.
    """
    layer = contents.read(path)
    if altered := contents.altered(layer):
        raise PublishError(
            f"{path} is not as it was built: {', '.join(altered)}. Take the zip of the package "
            "lamella-layer, or build it in a checkout: make layer"
        )
    data = path.read_bytes()
    if len(data) > LIMIT:
        raise PublishError(f"{path} has {len(data):,} bytes; Lambda takes at most {LIMIT:,}")
    version = str(layer.manifest["version"])
    return Release(version, Upload(data, f"Lamella {version}: runs any ASGI application"))


def placeholder() -> Upload:
    """Return what takes a version number that a region has not reached yet.

    It is no layer that works, so that a number never stands for two releases; the same bytes
    on every call.
    """
    text = "This version number belongs to a release in other regions. Use the newest version.\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("lamella/PLACEHOLDER.txt"), text)
    return Upload(file.getvalue(), "Placeholder for a number used in other regions: do not use")
