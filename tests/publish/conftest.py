"""An AWS to publish to: moto's server, behind a front that can fail as AWS does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import httpx
import pytest
from botocore.config import Config

from lamella.tools.cli import main
from lamella.tools.layer.publishing import trouble
from layer import archive
from tests.moto_server import moto_server, stand_for_aws
from tests.publish.front import Front

ACCOUNT = "123456789012"


class Ran(NamedTuple):
    """What a run of the command came to: `output` has the ARNs, `errors` what it said."""

    status: int
    output: str
    errors: str


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, int]]:
    """The address of moto's server."""
    with moto_server() as place:
        yield place


@pytest.fixture
def front(moto: tuple[str, int]) -> Iterator[Front]:
    """The front, before a moto without anything in it."""
    httpx.post("http://{}:{}/moto-api/reset".format(*moto)).raise_for_status()
    with Front(moto) as front:
        yield front


@pytest.fixture
def aws(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    """The front as the AWS that this process, and those it starts, speak to."""
    stand_for_aws(front.url, monkeypatch, tmp_path)
    monkeypatch.setattr(trouble, "FIRST_PAUSE", 0.0)
    return front


@pytest.fixture
def client(moto: tuple[str, int], aws: Front) -> Callable[[str], Any]:
    """Lambda in a region, asked past the front."""

    def client(region: str) -> Any:
        url = "http://{}:{}".format(*moto)
        config = Config(retries={"total_max_attempts": 1})
        return boto3.client("lambda", region_name=region, endpoint_url=url, config=config)

    return client


@pytest.fixture
def versions(client: Callable[[str], Any]) -> Callable[[str], list[int]]:
    """The numbers of the layer's versions in a region, newest first."""

    def versions(region: str) -> list[int]:
        found = client(region).list_layer_versions(LayerName="lamella")["LayerVersions"]
        return [version["Version"] for version in found]

    return versions


@pytest.fixture
def parameters(moto: tuple[str, int], aws: Front) -> Callable[[str], str | None]:
    """The value of /lamella/layer-arn in a region, asked past the front."""

    def parameters(region: str) -> str | None:
        ssm: Any = boto3.client(
            "ssm", region_name=region, endpoint_url="http://{}:{}".format(*moto)
        )
        found = ssm.get_parameters(Names=["/lamella/layer-arn"])["Parameters"]
        return str(found[0]["Value"]) if found else None

    return parameters


def write_layer(path: Path, version: str = "1.2.3") -> Path:
    """Write a small zip that says of itself what a layer says."""
    files = {"bootstrap": b"#!/bin/sh\n", "python/lamella/__init__.py": version.encode()}
    manifest = {
        "version": version,
        "bytecode": {},
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        },
    }
    archive.write({**files, "lamella/manifest.json": json.dumps(manifest).encode()}, path)
    return path


@pytest.fixture
def layer_zip(tmp_path: Path) -> Path:
    """A layer."""
    return write_layer(tmp_path / "layer.zip")


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """Where the published versions are recorded."""
    return tmp_path / "layers.json"


@pytest.fixture
def run(
    aws: Front, layer_zip: Path, layers: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs the command on the layer, for the regions and with the options given."""

    def run(regions: str, *options: str) -> Ran:
        files = ["--layer", str(layer_zip), "--ledger", str(layers)]
        with pytest.raises(SystemExit) as ended:
            main(["layer", "publish", "--region", regions, *files, *options])
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, *capfd.readouterr())

    return run
