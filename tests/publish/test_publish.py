"""Publishing to regions that work."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from lamella.tools.cli import main
from lamella.tools.layer.publishing.region import ARCHITECTURES, RUNTIMES, Region
from lamella.tools.layer.publishing.release import Upload
from layer.build import ROOT
from layer.pythons import SUPPORTED
from tests.front_of_moto import Answer
from tests.publish.conftest import ACCOUNT, Ran, write_layer
from tests.publish.front import Front

Run = Callable[..., Ran]
Versions = Callable[[str], list[int]]


def arn(region: str, number: int, partition: str = "aws") -> str:
    return f"arn:{partition}:lambda:{region}:{ACCOUNT}:layer:lamella:{number}"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    run: Run, aws: Front, layers: Path
) -> None:
    status, output, told = run("eu-west-1 us-east-1", "--access", "public")
    assert (status, output) == (0, "")
    words = "would publish version 1, and let everyone with an AWS account use it"
    assert f"eu-west-1  {words}\nus-east-1  {words}\nNothing was changed." in told
    assert {operation for _, operation in aws.seen} == {"account", "list"}
    assert not layers.exists()


def test_it_prints_the_arns_and_records_them(run: Run, layers: Path, layer_zip: Path) -> None:
    status, output, told = run("us-east-1,eu-west-1", "--yes")
    assert (status, output) == (0, f"{arn('us-east-1', 1)}\n{arn('eu-west-1', 1)}\n")
    assert told.endswith("region     what it has\nus-east-1  version 1\neu-west-1  version 1\n")
    entry = {
        "lamella": "1.2.3",
        "layer_version": 1,
        "sha256": hashlib.sha256(layer_zip.read_bytes()).hexdigest(),
    }
    assert json.loads(layers.read_text()) == {
        "lamella": {
            "eu-west-1": {"arn": arn("eu-west-1", 1), **entry},
            "us-east-1": {"arn": arn("us-east-1", 1), **entry},
        }
    }


def test_what_lambda_stores_is_the_zip_with_its_description(
    run: Run, client: Callable[[str], Any], layer_zip: Path
) -> None:
    run("eu-west-1", "--yes")
    stored = client("eu-west-1").get_layer_version(LayerName="lamella", VersionNumber=1)
    assert stored["Content"]["CodeSize"] == layer_zip.stat().st_size
    assert stored["Description"] == "Lamella 1.2.3: runs any ASGI application"
    assert (stored["LicenseInfo"], stored["CompatibleArchitectures"]) == ("MIT", ARCHITECTURES)
    assert stored["CompatibleRuntimes"] == RUNTIMES


def test_published_and_deployed_layers_are_for_the_same_runtimes() -> None:
    assert [f"python{minor}" for minor in SUPPORTED] == RUNTIMES
    template = yaml.load((ROOT / "template.yaml").read_text(), yaml.BaseLoader)
    layer = template["Resources"]["LamellaLayer"]["Properties"]
    assert sorted(layer["CompatibleArchitectures"]) == ARCHITECTURES
    assert layer["CompatibleRuntimes"] == RUNTIMES


def test_regions_are_published_to_at_the_same_time(run: Run, aws: Front) -> None:
    both = threading.Barrier(2)

    def wait_for_the_other(ask: Callable[[], Answer]) -> Answer:
        both.wait(timeout=30)
        return ask()

    aws.fail("eu-west-1", "publish", wait_for_the_other)
    aws.fail("us-east-1", "publish", wait_for_the_other)
    assert run("eu-west-1 us-east-1", "--yes").status == 0
    assert not both.broken


def test_the_same_content_is_not_published_twice(run: Run, versions: Versions) -> None:
    first = run("eu-west-1", "--yes")
    again = run("eu-west-1", "--yes", "--access", "public")
    assert (again.status, versions("eu-west-1")) == (0, [1])
    assert again.output == first.output
    assert "has it already as version 1\n" in run("eu-west-1").errors
    assert (
        "has it already as version 1; would make sure that account 210987654321 may use it"
        in run("eu-west-1", "--access", "account:210987654321").errors
    )


def test_a_new_release_is_a_new_version_everywhere(
    run: Run, versions: Versions, layer_zip: Path
) -> None:
    run("eu-west-1 us-east-1", "--yes")
    write_layer(layer_zip, "1.3.0")
    run("eu-west-1 us-east-1", "--yes")
    assert [versions("eu-west-1"), versions("us-east-1")] == [[2, 1], [2, 1]]


def test_a_region_that_is_added_later_gets_the_number_of_the_others(
    run: Run, client: Callable[[str], Any], layer_zip: Path, layers: Path
) -> None:
    run("eu-west-1", "--yes")
    write_layer(layer_zip, "1.3.0")
    run("eu-west-1", "--yes")
    asked = run("us-east-1")
    assert "would publish version 2 after 1 placeholder(s) from version 1 on" in asked.errors
    status, output, _ = run("us-east-1", "--yes", "--access", "public")
    assert (status, arn("us-east-1", 2) in output) == (0, True)
    assert sorted(json.loads(layers.read_text())["lamella"]) == ["eu-west-1", "us-east-1"]

    lambda_ = client("us-east-1")
    placeholder = lambda_.get_layer_version(LayerName="lamella", VersionNumber=1)
    assert placeholder["Description"].startswith("Placeholder")
    assert placeholder["Content"]["CodeSize"] < 500
    policy = lambda_.get_layer_version_policy(LayerName="lamella", VersionNumber=2)
    assert [statement["Sid"] for statement in json.loads(policy["Policy"])["Statement"]] == [
        "public"
    ]


def test_a_release_for_other_regions_does_not_reuse_a_number(
    run: Run, versions: Versions, layer_zip: Path
) -> None:
    """Version 1 is the first release in eu-west-1, so it is not the second one elsewhere."""
    run("eu-west-1", "--yes")
    write_layer(layer_zip, "1.3.0")
    run("us-east-1", "--yes")
    assert versions("us-east-1") == [2, 1]


def test_access_for_an_account_an_organization_and_everyone(
    run: Run, client: Callable[[str], Any]
) -> None:
    wanted = "account:210987654321 organization:o-a1b2c3d4e5"
    run("eu-west-1", "--yes", "--access", wanted, "--access", "public")
    policy = client("eu-west-1").get_layer_version_policy(LayerName="lamella", VersionNumber=1)
    statements = json.loads(policy["Policy"])["Statement"]
    principals = [(each["Sid"], each["Action"], each["Principal"]) for each in statements]
    assert principals == [
        ("account-210987654321", "lambda:GetLayerVersion", principals[0][2]),
        ("organization-o-a1b2c3d4e5", "lambda:GetLayerVersion", "*"),
        ("public", "lambda:GetLayerVersion", "*"),
    ]
    assert "210987654321" in str(principals[0][2])


def test_a_permission_that_exists_is_fine(run: Run, aws: Front) -> None:
    run("eu-west-1", "--yes", "--access", "public")
    status, output, _ = run("eu-west-1", "--yes", "--access", "public")
    assert (status, aws.seen["eu-west-1", "allow"]) == (0, 2)
    assert arn("eu-west-1", 1) in output


@pytest.mark.parametrize("existing", [False, True])
def test_a_parameter_in_each_region_has_the_arn(
    run: Run, aws: Front, parameters: Callable[[str], str | None], layer_zip: Path, existing: bool
) -> None:
    name = "/lamella/layer-arn"
    if existing:
        run("eu-west-1 us-east-1", "--yes", "--ssm", name)
        write_layer(layer_zip, "1.3.0")
    asked = run("eu-west-1", "--ssm", name)
    assert f"and write its ARN to the parameter {name}\n" in asked.errors
    assert parameters("eu-west-1") == (arn("eu-west-1", 1) if existing else None)

    done = run("eu-west-1 us-east-1", "--yes", "--ssm", name)
    assert done.status == 0
    expected = [arn(region, 1 + existing) for region in ("eu-west-1", "us-east-1")]
    assert [parameters("eu-west-1"), parameters("us-east-1")] == expected
    assert (
        f"; would write its ARN to the parameter {name}\n" in run("eu-west-1", "--ssm", name).errors
    )


def test_without_a_ledger_nothing_is_written(
    aws: Front, layer_zip: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the layer may come from the working directory, where `make layer` puts it."""
    monkeypatch.chdir(layer_zip.parent)
    Path("dist").mkdir()
    layer_zip.rename("dist/lamella-layer.zip")
    main(["layer", "publish", "--region", "eu-west-1", "--yes"], standalone_mode=False)
    assert capfd.readouterr().out == f"{arn('eu-west-1', 1)}\n"
    assert [str(path) for path in Path().rglob("*.*")] == ["dist/lamella-layer.zip"]


def test_the_bar_moves_while_the_zip_is_sent(aws: Front) -> None:
    told: list[tuple[str, float]] = []
    data = random.Random(1).randbytes(300_000)
    region = Region(boto3.Session(), "eu-west-1", "lamella")
    region.publish(Upload(data, "A layer"), 1, lambda words, part=0.0: told.append((words, part)))
    assert {words for words, _ in told} == {"publishing version 1"}
    parts = [part for _, part in told]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert parts[-1] == 1
    assert len(set(parts)) > 3
