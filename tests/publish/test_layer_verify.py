"""`lamella layer verify`, `info` and `unpack`: a zip and its manifest, without a checkout."""

from __future__ import annotations

import hashlib
import json
import shutil
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


def layer_of(path: Path, files: dict[str, bytes]) -> Path:
    """A zip with these files, and the manifest that lists them."""
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = json.dumps({"version": "1.2.3", "bytecode": {}, "files": listed})
    archive.write({**files, "lamella/manifest.json": manifest.encode()}, path)
    return path


def unpacked(zip_file: Path, folder: Path) -> Result:
    arguments = ["layer", "unpack", str(folder), "--layer", str(zip_file)]
    return CliRunner().invoke(main, arguments)


def test_a_newer_layer_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    files = {"bootstrap": b"1", "python/lamella/old/a.py": b"a", "python/lamella/b.py": b"b"}
    assert unpacked(layer_of(tmp_path / "older.zip", files), opt).exit_code == 0
    (opt / "python" / "mine.py").write_text("mine")
    (opt / "python" / "lamella" / "b.py").write_text("changed")
    done = unpacked(layer_of(tmp_path / "newer.zip", {"bootstrap": b"2"}), opt)
    assert (done.exit_code, done.output) == (
        0,
        f"unpacked into {opt}\n"
        "removed what only the older layer had: python/lamella/old/a.py\n"
        "kept, because they were changed since: python/lamella/b.py. Remove them unless they are "
        "yours\n",
    )
    found = {path.relative_to(opt).as_posix() for path in opt.rglob("*")}
    assert found == {
        *("bootstrap", "lamella", "lamella/manifest.json"),
        *("python", "python/mine.py", "python/lamella", "python/lamella/b.py"),
    }
    assert (opt / "bootstrap").read_bytes() == b"2"


def test_nothing_is_written_through_links_that_lead_out(tmp_path: Path) -> None:
    opt, elsewhere = tmp_path / "opt", tmp_path / "elsewhere"
    opt.mkdir()
    elsewhere.mkdir()
    (elsewhere / "bootstrap").write_text("mine")
    (opt / "bootstrap").symlink_to(elsewhere / "bootstrap")
    layer = layer_of(tmp_path / "layer.zip", {"bootstrap": b"1", "python/a.py": b"a"})
    folder = tmp_path / "folder"
    assert unpacked(layer, folder).exit_code == 0
    for source in (layer, folder):
        assert unpacked(source, opt).exit_code == 0
        assert (opt / "bootstrap").read_bytes() == b"1"
        shutil.rmtree(opt / "python")
        (opt / "python").symlink_to(elsewhere)
        done = unpacked(source, opt)
        assert done.exit_code == 1
        said = f"{opt}/python/a.py would be outside of {opt}, in {elsewhere}: remove the link"
        assert said in done.output
        (opt / "python").unlink()
    assert [path.read_text() for path in elsewhere.iterdir()] == ["mine"]


def test_a_link_of_the_layer_s_that_leads_nowhere_here_is_left_out(tmp_path: Path) -> None:
    layer, opt = tmp_path / "layer", tmp_path / "opt"
    assert unpacked(layer_of(tmp_path / "layer.zip", {"bootstrap": b"1"}), layer).exit_code == 0
    (layer / "python").symlink_to("/var/lang/bin/python-of-lambda")
    done = unpacked(layer, opt)
    assert (done.exit_code, done.output) == (0, f"unpacked into {opt}\n")
    assert (opt / "bootstrap").read_bytes() == b"1"


def test_a_file_where_the_layer_has_a_folder_is_named(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    opt.mkdir()
    (opt / "python").write_text("mine")
    layer = layer_of(tmp_path / "layer.zip", {"python/a.py": b"a"})
    done = unpacked(layer, opt)
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {layer} cannot be unpacked into {opt}: ")
    assert "Not a directory" in done.output
    assert (opt / "python").read_text() == "mine"


def test_a_layer_is_not_unpacked_into_itself(tmp_path: Path) -> None:
    opt = tmp_path / "opt"
    assert unpacked(layer_of(tmp_path / "layer.zip", {"bootstrap": b"1"}), opt).exit_code == 0
    done = unpacked(opt, opt)
    text = f"Error: {opt} is the layer itself: name another folder.\n"
    assert (done.exit_code, done.output) == (1, text)


@pytest.mark.parametrize("name", ["./bootstrap", "python//../bootstrap", "boot\0strap", "."])
def test_an_older_manifest_leads_to_no_file_of_the_new_layer(tmp_path: Path, name: str) -> None:
    manifest = tmp_path / "opt" / "lamella" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    older = {name: {"sha256": hashlib.sha256(b"2").hexdigest()}}
    manifest.write_text(json.dumps({"files": older}))
    done = unpacked(layer_of(tmp_path / "newer.zip", {"bootstrap": b"2"}), tmp_path / "opt")
    assert (done.exit_code, done.output) == (0, f"unpacked into {tmp_path / 'opt'}\n")
    assert (tmp_path / "opt" / "bootstrap").read_bytes() == b"2"


def test_a_name_of_an_older_manifest_that_no_file_can_have(tmp_path: Path) -> None:
    manifest = tmp_path / "opt" / "lamella" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"files": {"x" * 5000: {"sha256": ""}}}))
    done = unpacked(layer_of(tmp_path / "newer.zip", {"bootstrap": b"2"}), tmp_path / "opt")
    assert done.exit_code == 1
    assert "has a file of an older layer that cannot be removed: " in done.output
    assert "File name too long" in done.output


@pytest.mark.parametrize("name", ["../mine.py", "{}/mine.py"])
def test_an_older_manifest_leads_to_nothing_outside_of_the_folder(
    tmp_path: Path, name: str
) -> None:
    mine = tmp_path / "mine.py"
    mine.write_bytes(b"mine")
    older = {name.format(tmp_path): {"sha256": hashlib.sha256(b"mine").hexdigest()}}
    (tmp_path / "opt" / "lamella").mkdir(parents=True)
    (tmp_path / "opt" / "lamella" / "manifest.json").write_text(json.dumps({"files": older}))
    done = unpacked(layer_of(tmp_path / "newer.zip", {"bootstrap": b"2"}), tmp_path / "opt")
    assert (done.exit_code, done.output) == (0, f"unpacked into {tmp_path / 'opt'}\n")
    assert mine.read_bytes() == b"mine"
