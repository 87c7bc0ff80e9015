"""The parts of publishing that need no AWS: partitions, numbers, access, the record, the zip."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from lamella.local.machine.layer import LayerError
from lamella.tools.layer.publishing import (
    PublishError,
    access,
    numbers,
    partitions,
    release,
    trouble,
)
from lamella.tools.layer.publishing.ledger import Entry, Ledger
from lamella.tools.layer.publishing.numbers import Latest
from lamella.tools.layer.publishing.region import Region
from layer import archive
from tests.publish.conftest import Ran, write_layer
from tests.publish.test_publish import arn

OURS, OTHER = "ours", "other"


@pytest.mark.parametrize(
    ("region", "partition", "endpoint"),
    [
        ("eu-west-1", "aws", "https://lambda.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", "aws-us-gov", "https://lambda.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "https://lambda.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_region_has_its_partitions_name_and_endpoint(
    region: str, partition: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session = boto3.Session("key", "secret")
    assert partitions.partition_of(session, [region]) == partition
    assert Region(session, region, "lamella").client.meta.endpoint_url == endpoint


@pytest.mark.parametrize(
    ("region", "partition"), [("us-gov-west-1", "aws-us-gov"), ("cn-northwest-1", "aws-cn")]
)
def test_published_arns_name_the_partition(
    run: Callable[..., Ran], region: str, partition: str
) -> None:
    status, output, told = run(region, "--yes")
    assert (status, output) == (0, f"{arn(region, 1, partition)}\n")
    assert f"in partition {partition}\n" in told


def test_regions_of_two_partitions_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(
        PublishError, match="eu-west-1 is in aws, cn-north-1 is in aws-cn: credentials belong to"
    ):
        partitions.partition_of(boto3.Session(), ["eu-west-1", "cn-north-1"])


def test_a_misspelt_region_meets_the_nearest_name() -> None:
    with pytest.raises(PublishError, match=r"'eu-wset-1' is no region .* did you mean eu-west-1\?"):
        partitions.partition_of(boto3.Session(), ["eu-west-1", "eu-wset-1"])


@pytest.mark.parametrize(
    ("latest", "wanted"),
    [
        pytest.param([], 1, id="no region"),
        pytest.param([Latest(0, "", ""), Latest(0, "", "")], 1, id="the first release"),
        pytest.param([Latest(4, "", OTHER), Latest(4, "", OTHER)], 5, id="the next release"),
        pytest.param([Latest(4, "", OTHER), Latest(2, "", OTHER)], 5, id="one region is behind"),
        pytest.param([Latest(5, "", OURS), Latest(4, "", OTHER)], 5, id="one region has it"),
        pytest.param([Latest(5, "", OURS), Latest(5, "", OTHER)], 6, id="the number is taken"),
    ],
)
def test_the_number_that_all_regions_get(latest: list[Latest], wanted: int) -> None:
    assert numbers.target(latest, OURS) == wanted


@pytest.mark.parametrize(
    ("latest", "wanted", "count"),
    [(0, 1, 0), (0, 5, 4), (3, 5, 1), (4, 5, 0), (7, 5, 0), (0, 1000, 0)],
)
def test_placeholders_fill_a_gap_unless_it_is_absurd(latest: int, wanted: int, count: int) -> None:
    assert numbers.placeholders(Latest(latest, "", OTHER), wanted) == count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("everyone", "'everyone' is not public, account:123456789012 or organization:o-..."),
        ("account:1234", "'account:1234': an account is 12 digits"),
        ("organization:123456789012", "an organization is o- and 10 to 32 lower case letters"),
        ("account:123456789012\n", "an account is 12 digits"),
    ],
)
def test_an_access_that_aws_would_refuse(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        access.parse(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--access", "everyone"], "Invalid value for '--access': 'everyone' is not public"),
        (["--ssm"], "Option '--ssm' requires an argument"),
        (["--ssm", "lamella/arn"], "'--ssm': 'lamella/arn': a parameter is letters, digits and"),
        (["--ssm", "/lamella/a*"], "'--ssm': '/lamella/a*': a parameter is letters, digits and"),
        (["--name", "la mella"], "'--name': 'la mella': a layer's name is letters, digits,"),
    ],
)
def test_wrong_arguments_have_exit_status_2(
    run: Callable[..., Ran],
    options: list[str],
    message: str,
) -> None:
    status, _, told = run("eu-west-1", *options)
    assert (status, message in told) == (2, True)


def test_a_region_is_needed(run: Callable[..., Ran]) -> None:
    status, _, told = run(" , ")
    assert (status, "Invalid value for '--region': name at least one region" in told) == (2, True)


def test_records_of_regions_and_layers_are_kept_and_sorted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "made" / "layers.json")
    entry = Entry(arn("us-east-1", 1), 1, "1.2.3", "00" * 32)
    threads = [
        threading.Thread(target=ledger.record, args=(layer, f"region-{number}", entry))
        for number in range(10)
        for layer in ("lamella", "another")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = ledger.path.read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert ledger.entries("lamella") == {f"region-{number}": entry for number in range(10)}
    assert ledger.path.stat().st_mode & 0o777 == 0o644
    assert list(ledger.path.parent.iterdir()) == [ledger.path]


def test_a_placeholder_is_the_same_on_every_call_and_has_nothing_to_run() -> None:
    assert release.placeholder().data == release.placeholder().data
    with zipfile.ZipFile(io.BytesIO(release.placeholder().data)) as opened:
        assert opened.namelist() == ["lamella/PLACEHOLDER.txt"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(None, "is no zip file that can be read: ", id="none"),
        pytest.param(b"text", "is no zip file that can be read", id="no zip"),
        pytest.param(release.placeholder().data, "is not a layer of Lamella", id="another zip"),
    ],
)
def test_a_file_that_is_no_layer_is_not_published(
    tmp_path: Path, data: bytes | None, message: str
) -> None:
    path = tmp_path / "layer.zip"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(LayerError, match=f"{path} {message}"):
        release.load(path)


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(b"[" * 200_000, id="deep"),
        pytest.param(b'{"version": "1", "files": {"bootstrap": 5}, "bytecode": {}}', id="no hash"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_a_hostile_manifest_is_refused(tmp_path: Path, manifest: bytes) -> None:
    path = tmp_path / "layer.zip"
    archive.write({"bootstrap": b"#!/bin/sh\n", "lamella/manifest.json": manifest}, path)
    with pytest.raises(LayerError, match="is not a layer of Lamella: it has no readable"):
        release.load(path)


@pytest.mark.parametrize("name", ["python/lamella/__init__.py", "python/sitecustomize.py"])
def test_a_layer_that_was_changed_after_the_build_is_not_published(
    tmp_path: Path, name: str
) -> None:
    path = write_layer(tmp_path / "layer.zip")
    _add(path, name, b"import os")
    with pytest.raises(PublishError, match=f"is not as it was built: {name}. Take the zip of"):
        release.load(path)


def test_a_signature_in_the_zip_is_fine(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "layer.zip")
    _add(path, "META-INF/signature", b"signed")
    assert release.load(path).version == "1.2.3"


def _add(path: Path, name: str, data: bytes) -> None:
    with zipfile.ZipFile(path) as opened:
        files = {each: opened.read(each) for each in opened.namelist()}
    archive.write({**files, name: data}, path)


def test_pauses_grow_and_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    for failures in range(1, 8):
        trouble.pause(failures)
    assert slept == [1, 2, 4, 8, 16, 20, 20]
