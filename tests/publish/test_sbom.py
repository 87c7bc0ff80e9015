"""The bill of materials: inside the zip and beside it, and valid CycloneDX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lamella.tools.layer import contents
from layer import archive, build, manifest, pythons, sbom
from tests.publish.conftest import write_layer


@pytest.fixture(scope="module")
def validator() -> Any:
    """What is wrong with a bill, None for nothing."""
    # Its import takes seconds, which every worker would spend.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str


@pytest.fixture(scope="module")
def layer_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer, built from this tree with one Python."""
    path = tmp_path_factory.mktemp("layer") / "lamella-layer.zip"
    archive.write(build.content(build.ROOT, pythons.find()[-1:]), path)
    return path


@pytest.fixture
def bill(layer_zip: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(contents.read(layer_zip).files[manifest.SBOM])
    return value


def test_it_is_valid(bill: dict[str, Any], validator: Any) -> None:
    assert validator(json.dumps(bill)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"serialNumber": "not a UUID"},
        {"components": [{"type": "library"}]},
        {"unheard of": True},
    ],
)
def test_the_validator_refuses_what_is_wrong(
    bill: dict[str, Any], change: dict[str, Any], validator: Any
) -> None:
    assert validator(json.dumps({**bill, **change})) is not None


def test_it_lies_beside_the_zip_too(
    layer_zip: Path, bill: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sbom.main([str(layer_zip)])
    beside = layer_zip.with_name("lamella-layer.cdx.json")
    assert capsys.readouterr().out == f"sbom     {beside}\n"
    assert json.loads(beside.read_text()) == bill


def test_a_zip_without_one(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "layer.zip")
    with pytest.raises(SystemExit, match=r"has no lamella/sbom\.cdx\.json\. Build the layer anew"):
        sbom.main([str(path)])
