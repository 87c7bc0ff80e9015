"""What is in the zip, with which modes, and what the layer says about itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from layer import archive, build

Content = dict[str, bytes]


def test_python_can_import_nothing_from_the_layer_but_lamella(content: Content) -> None:
    assert {name.split("/")[1] for name in content if name.startswith("python/")} == {"lamella"}


def test_the_zip_has_three_entries_at_its_top(content: Content) -> None:
    assert {name.split("/")[0] for name in content} == {"bootstrap", "lamella", "python"}


@pytest.mark.parametrize("name", ["python/lamella/types.py", "lamella/runtime.py", "bootstrap"])
def test_files_that_a_start_needs_are_there(content: Content, name: str) -> None:
    assert content[name]


def test_the_local_lambda_test_help_and_typing_files_are_left_out(content: Content) -> None:
    unwanted = re.compile(r"python/lamella/(local|testing)|\.pyi$|py\.typed$")
    assert [name for name in content if unwanted.search(name)] == []


def test_only_the_bootstrap_is_executable_and_everyone_may_read(layer_zip: Path) -> None:
    with ZipFile(layer_zip) as opened:
        modes = {entry.filename: entry.external_attr >> 16 for entry in opened.infolist()}
    assert modes.pop("bootstrap") == 0o100755
    assert set(modes.values()) == {0o100644}


def test_every_entry_is_dated_1980_and_made_on_unix(layer_zip: Path) -> None:
    with ZipFile(layer_zip) as opened:
        entries = opened.infolist()
    assert {(entry.date_time, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 3)
    }
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_text_has_line_feeds_only(content: Content) -> None:
    text = [name for name in content if not name.endswith(".pyc")]
    assert [name for name in text if b"\r" in content[name]] == []


def test_unpacking_restores_the_modes_whatever_the_umask(layer_zip: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        archive.unpack(layer_zip, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "bootstrap").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "lamella" / "runtime.py").stat().st_mode & 0o777 == 0o644


def test_the_manifest_lists_every_other_file(content: Content, manifest: dict[str, Any]) -> None:
    assert manifest["version"] == build.version(build.ROOT)
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest()}
        for name, data in content.items()
        if name != "lamella/manifest.json"
    }


def test_the_bill_of_materials_names_what_is_carried(content: Content) -> None:
    sbom = json.loads(content["lamella/sbom.cdx.json"])
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    assert sbom["metadata"]["component"]["purl"] == f"pkg:pypi/lamella@{build.version(build.ROOT)}"
    assert [component["purl"] for component in sbom["components"]] == [
        "pkg:pypi/awslambdaric@4.2.2"
    ]


def test_licences_of_both_packages_travel_along(content: Content) -> None:
    assert b"MIT License" in content["lamella/licenses/lamella/LICENSE"]
    assert b"Apache License" in content["lamella/licenses/awslambdaric/LICENSE"]
    assert b"Amazon" in content["lamella/licenses/awslambdaric/NOTICE"]
