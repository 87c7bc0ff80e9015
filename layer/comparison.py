"""Two layers, file by file: what differs, and why that can be."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import NamedTuple

from lamella.tools.layer import contents
from lamella.tools.layer.contents import Contents
from layer import manifest, vendor

_BYTECODE = re.compile(r"(?P<stem>[^/]+)\.cpython-3(?P<minor>\d+)\.pyc$")


class Difference(NamedTuple):
    """A file that is not the same in both, and the likely reason, for people."""

    name: str
    why: str


def compare(published: Contents, rebuilt: Contents) -> list[Difference]:
    """Return the files of `published` that are not as in `rebuilt`, sorted by name.

    The manifests are the same when all that differs is which patch releases compiled bytecode
    that is the same nevertheless.
    """
    names = sorted(published.files.keys() | rebuilt.files.keys())
    unlike = {name for name in names if not _same(name, published, rebuilt)}
    if unlike == {contents.MANIFEST} and _told(published) == _told(rebuilt):
        return []
    return [Difference(name, _why(name, published, rebuilt, unlike)) for name in sorted(unlike)]


def _same(name: str, published: Contents, rebuilt: Contents) -> bool:
    return (published.files.get(name), published.modes.get(name)) == (
        rebuilt.files.get(name),
        rebuilt.modes.get(name),
    )


def _told(layer: Contents) -> str:
    """Return what the manifest says but for the patch releases."""
    minors = {minor: each["magic"] for minor, each in layer.manifest["bytecode"].items()}
    return json.dumps({**layer.manifest, "bytecode": minors}, sort_keys=True)


def _why(name: str, published: Contents, rebuilt: Contents, unlike: set[str]) -> str:
    if name in (contents.MANIFEST, manifest.SBOM):
        return _why_derived(published, rebuilt)
    if name in contents.changed(published):
        return "is not what the zip's own manifest says: it was changed or lost after the build"
    if name in contents.added(published):
        return "is not in the zip's own manifest: it was added after the build, as a signature is"
    if published.files.get(name) == rebuilt.files.get(name):
        return "has other permission bits"
    if bytecode := _BYTECODE.search(name):
        source = str(PurePosixPath(name).parent.parent / f"{bytecode['stem']}.py")
        return _why_bytecode(f"3.{bytecode['minor']}", source in unlike, published, rebuilt)
    if f"/{vendor.PRIVATE_NAME}/" in name:
        return f"is of {vendor.PACKAGE}: was another version pinned in layer/requirements.txt?"
    return _why_source(published, rebuilt)


def _why_derived(published: Contents, rebuilt: Contents) -> str:
    if published.manifest["version"] != rebuilt.manifest["version"]:
        return _why_source(published, rebuilt)
    return "lists or is derived from what differs elsewhere"


def _why_bytecode(minor: str, source: bool, published: Contents, rebuilt: Contents) -> str:
    given, here = (layer.manifest["bytecode"].get(minor) for layer in (published, rebuilt))
    if here is None:
        return (
            f"could not be compared: no Python {minor} here. Install {given and given['python']}, "
            "or compile in a container (BYTECODE=docker)"
        )
    if source:
        return "is compiled from a source that differs"
    if given and given["python"] != here["python"]:
        return (
            f"was compiled by Python {given['python']}, here by {here['python']}: patch releases "
            f"may compile differently. Compare where the newest Python {minor} is {given['python']}"
        )
    return (
        f"is not what Python {here['python']} compiles here from the same source: it was changed, "
        "or compiled by a build of Python that differs (a distribution's patches)"
    )


def _why_source(published: Contents, rebuilt: Contents) -> str:
    given, here = published.manifest["version"], rebuilt.manifest["version"]
    if given != here:
        return f"the zip is Lamella {given}, this checkout {here}: check out the tag v{given}"
    return (
        "this checkout is not the commit that the zip was built from (check out the tag "
        f"v{given}, without changes), or the zip was not built from it"
    )
