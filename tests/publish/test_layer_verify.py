"""`lamella layer verify`, `info` and `unpack`: a zip and its manifest, without a checkout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lamella.tools.cli import main
from layer import archive


def verify(path: Path) -> Result:
    return CliRunner().invoke(main, ["layer", "verify", str(path)])


def add(path: Path, name: str, data: bytes) -> None:
    with zipfile.ZipFile(path) as opened:
        files = {each: opened.read(each) for each in opened.namelist()}
    archive.write({**files, name: data}, path)


def test_a_layer_as_it_was_built(layer_zip: Path) -> None:
    done = verify(layer_zip)
    assert done.exit_code == 0
    assert done.output == (
        f"verified 2 files of Lamella 1.2.3, as the manifest of {layer_zip} lists them\n"
    )


@pytest.mark.parametrize("name", ["bootstrap", "python/sitecustomize.py"])
def test_a_file_that_was_changed_or_added(layer_zip: Path, name: str) -> None:
    add(layer_zip, name, b"evil")
    done = verify(layer_zip)
    assert (done.exit_code, done.output) == (
        1,
        f"Error: {layer_zip} is not as it was built: {name}.\n",
    )


def test_a_signature_is_named(layer_zip: Path) -> None:
    add(layer_zip, "META-INF/signature", b"signed")
    done = verify(layer_zip)
    assert done.exit_code == 0
    assert "added after the build, and loaded by nothing: META-INF/signature\n" in done.output


@pytest.mark.parametrize("command", ["verify", "info"])
def test_a_zip_that_hides_something(layer_zip: Path, command: str) -> None:
    layer_zip.write_bytes(layer_zip.read_bytes() + b"more")
    option = ["--layer"] if command == "info" else []
    done = CliRunner().invoke(main, ["layer", command, *option, str(layer_zip)])
    assert done.exit_code == 1
    assert "could unpack to something else than it shows" in done.output or "no zip" in done.output


def test_info_tells_release_and_sizes(layer_zip: Path) -> None:
    done = CliRunner().invoke(main, ["layer", "info", "--json", "--layer", str(layer_zip)])
    told = json.loads(done.output)
    assert (told["version"], told["bytes"]) == ("1.2.3", layer_zip.stat().st_size)


def test_a_folder_that_cannot_be_made(layer_zip: Path) -> None:
    below_a_file = layer_zip / "opt"
    done = CliRunner().invoke(
        main, ["layer", "unpack", str(below_a_file), "--layer", str(layer_zip)]
    )
    assert (done.exit_code, done.output) == (
        1,
        f"Error: {below_a_file} cannot be made: Not a directory. Name another folder.\n",
    )
