"""Why two layers differ."""

from __future__ import annotations

import hashlib

import pytest

from lamella.tools.layer.contents import Contents
from layer import comparison, manifest

SOURCE, BYTECODE = "python/lamella/a.py", "python/lamella/__pycache__/a.cpython-313.pyc"


def layer(
    files: dict[str, bytes],
    version: str = "1.2.3",
    python: str = "3.13.1",
    modes: dict[str, int] | None = None,
) -> Contents:
    """A layer whose manifest lists `files`; `python` compiled the bytecode."""
    minor = ".".join(python.split(".")[:2])
    listing = {
        "version": version,
        "bytecode": {minor: {"python": python, "magic": "f30d0d0a"}},
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
    }
    everything = {**files, "lamella/manifest.json": str(listing).encode()}
    return Contents(everything, dict.fromkeys(files, 420) | (modes or {}), listing)


def reasons(published: Contents, rebuilt: Contents) -> dict[str, str]:
    found = dict(comparison.compare(published, rebuilt))
    found.pop("lamella/manifest.json", None)
    return found


def test_the_same_files_compiled_by_another_patch_release_are_the_same() -> None:
    files = {SOURCE: b"1", BYTECODE: b"2"}
    assert comparison.compare(layer(files), layer(files, python="3.13.4")) == []


@pytest.mark.parametrize(
    ("published", "rebuilt", "name", "why"),
    [
        pytest.param(
            layer({SOURCE: b"1", BYTECODE: b"2"}),
            layer({SOURCE: b"1", BYTECODE: b"3"}, python="3.13.4"),
            BYTECODE,
            "was compiled by Python 3.13.1, here by 3.13.4: patch releases may compile "
            "differently. Compare where the newest Python 3.13 is 3.13.1",
            id="another patch release",
        ),
        pytest.param(
            layer({SOURCE: b"1", BYTECODE: b"2"}),
            layer({SOURCE: b"1"}, python="3.12.1"),
            BYTECODE,
            "could not be compared: no Python 3.13 here. Install 3.13.1, or compile in a "
            "container (BYTECODE=docker)",
            id="a Python that is not here",
        ),
        pytest.param(
            layer({SOURCE: b"1", BYTECODE: b"2"}),
            layer({SOURCE: b"2", BYTECODE: b"3"}),
            BYTECODE,
            "is compiled from a source that differs",
            id="another source",
        ),
        pytest.param(
            layer({SOURCE: b"1", BYTECODE: b"2"}),
            layer({SOURCE: b"1", BYTECODE: b"3"}),
            BYTECODE,
            "is not what Python 3.13.1 compiles here from the same source: it was changed, or "
            "compiled by a build of Python that differs (a distribution's patches)",
            id="bytecode that its source does not give",
        ),
        pytest.param(
            layer({SOURCE: b"1"}),
            layer({SOURCE: b"2"}),
            SOURCE,
            "this checkout is not the commit that the zip was built from (check out the tag "
            "v1.2.3, without changes), or the zip was not built from it",
            id="another commit",
        ),
        pytest.param(
            layer({"python/lamella/_awslambdaric/__init__.py": b"1"}),
            layer({"python/lamella/_awslambdaric/__init__.py": b"2"}),
            "python/lamella/_awslambdaric/__init__.py",
            "is of awslambdaric: was another version pinned in layer/requirements.txt?",
            id="another awslambdaric",
        ),
        pytest.param(
            layer({"bootstrap": b"1"}, modes={"bootstrap": 0o644}),
            layer({"bootstrap": b"1"}, modes={"bootstrap": 0o755}),
            "bootstrap",
            "has other permission bits",
            id="a bootstrap that cannot start",
        ),
    ],
)
def test_reasons(published: Contents, rebuilt: Contents, name: str, why: str) -> None:
    assert reasons(published, rebuilt)[name] == why


def test_the_bill_of_materials_follows_from_the_rest() -> None:
    found = reasons(layer({manifest.SBOM: b"1"}), layer({manifest.SBOM: b"2"}))
    assert found == {manifest.SBOM: "lists or is derived from what differs elsewhere"}
