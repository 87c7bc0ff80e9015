"""What is published: the bytes of a layer's zip, and what they say about themselves."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

from layer import BuildError, contents
from layer.publishing import PublishError

LIMIT = 50 * 1024 * 1024
"""How large a zip may be that is uploaded directly, in bytes
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

_LOADED = ("bin/", "bootstrap", "extensions/", "lamella/", "lib/", "python/")
"""Where Lambda, Python and the bootstrap look for what they run."""


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

    Raises PublishError when it is not a layer of ours as it was built (files that a signature
    added are fine), or too large.
    """
    try:
        layer = contents.read(path)
    except BuildError as error:
        raise PublishError(f"{error}. Build one: make layer") from None
    added = [name for name in contents.added(layer) if name.startswith(_LOADED)]
    if changed := contents.changed(layer) + added:
        raise PublishError(
            f"{path} is not as it was built: {', '.join(changed)}. Build it anew: make layer"
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
