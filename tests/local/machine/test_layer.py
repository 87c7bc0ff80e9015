"""A layer's zip becomes what it is at /opt."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from lamella.local.machine.layer import LayerError, unpack

LINK = 0o120777


def zipped(path: Path, **files: str) -> Path:
    """A zip of these files; `>target` is a link to target, as `zip --symlinks` writes it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (LINK if text.startswith(">") else 0o100755) << 16
            archive.writestr(entry, text.removeprefix(">"))
    return path


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    files = {"lib/libx.so": ">libx.so.1", "lib/libx.so.1": "x", "bin/python": ">/var/lang/python"}
    unpack(zipped(tmp_path / "layer.zip", **files), opt := tmp_path / "opt")
    assert os.readlink(opt / "lib" / "libx.so") == "libx.so.1"
    assert (opt / "lib" / "libx.so").read_text() == "x"
    assert os.readlink(opt / "bin" / "python") == "/var/lang/python"  # only Lambda has it


def test_the_next_layer_s_file_comes_in_place_of_a_link(tmp_path: Path) -> None:
    opt, own = tmp_path / "opt", tmp_path / "own"
    own.write_text("own")
    unpack(zipped(tmp_path / "first.zip", **{"tool": f">{own}", "other": "1"}), opt)
    unpack(zipped(tmp_path / "second.zip", **{"tool": "2", "other": ">tool"}), opt)
    assert (own.read_text(), (opt / "tool").read_text()) == ("own", "2")
    assert os.readlink(opt / "other") == "tool"


@pytest.mark.parametrize("name", ["../own", "lib/../../own", "{}/own"])
def test_a_name_that_leads_out(tmp_path: Path, name: str) -> None:
    layer = zipped(tmp_path / "layer.zip", **{name.format(tmp_path): "theirs"})
    with pytest.raises(LayerError, match="would be outside of"):
        unpack(layer, tmp_path / "opt")
    assert not (tmp_path / "own").exists()


def test_a_link_that_leads_out_and_a_file_below_it(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    opt = tmp_path / "opt"
    with pytest.raises(LayerError, match=r"link|directory"):
        unpack(zipped(tmp_path / "one.zip", **{"lib": f">{own}", "lib/x": "theirs"}), opt)
    unpack(zipped(tmp_path / "first.zip", **{"share": f">{own}"}), opt)
    with pytest.raises(LayerError, match=f"would be outside of {opt}, in {own}"):
        unpack(zipped(tmp_path / "second.zip", **{"share/x": "theirs"}), opt)
    assert list(own.iterdir()) == []
