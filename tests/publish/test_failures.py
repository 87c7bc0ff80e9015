"""Publishing when AWS, the network or the machine fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamella.tools.layer.publishing import trouble
from lamella.tools.layer.publishing.ledger import Ledger
from tests.front_of_moto import Answer
from tests.publish.conftest import Ran, write_layer
from tests.publish.front import Front, down, error, garbled, lost, throttled
from tests.publish.test_publish import arn

Run = Callable[..., Ran]
Versions = Callable[[str], list[int]]


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        pytest.param("list", throttled, id="list throttled"),
        pytest.param("get", down, id="get down"),
        pytest.param("publish", throttled, id="publish throttled"),
        pytest.param("publish", down, id="publish down"),
        pytest.param("publish", error(503, "ServiceException"), id="publish 503"),
        pytest.param("allow", throttled, id="allow throttled"),
        pytest.param("allow", garbled, id="allow garbled"),
        pytest.param("parameter", lost, id="parameter lost"),
    ],
)
def test_what_passes_is_tried_again(
    run: Run, aws: Front, versions: Versions, layer_zip: Path, operation: str, fault: Any
) -> None:
    run("eu-west-1", "--yes")
    write_layer(layer_zip, "1.3.0")
    aws.recover()
    aws.fail("eu-west-1", operation, fault, trouble.ATTEMPTS - 1)
    options = ("--access", "public", "--ssm", "/lamella/layer-arn")
    status, output, _ = run("eu-west-1", "--yes", *options)
    assert status == 0
    assert aws.seen["eu-west-1", operation] >= trouble.ATTEMPTS
    assert arn("eu-west-1", 2) in output
    assert versions("eu-west-1") == [2, 1]


def test_throttling_that_does_not_end_fails_its_region_only(
    run: Run, aws: Front, versions: Versions, layers: Path
) -> None:
    aws.fail("eu-west-1", "publish", throttled, 100)
    status, output, told = run("eu-west-1 us-east-1", "--yes")
    assert status == 1
    assert "eu-west-1  failed: An error occurred (TooManyRequestsException)" in told
    assert "Rate exceeded. This may pass: run the same command again later" in told
    assert arn("us-east-1", 1) in output
    assert aws.seen["eu-west-1", "publish"] == trouble.ATTEMPTS
    assert list(json.loads(layers.read_text())["lamella"]) == ["us-east-1"]


def test_a_region_that_is_down_catches_up_in_the_next_run(
    run: Run, aws: Front, versions: Versions, layer_zip: Path
) -> None:
    run("eu-west-1 us-east-1", "--yes")
    write_layer(layer_zip, "1.3.0")
    for operation in ["account", "list", "get", "publish"]:
        aws.fail("eu-west-1", operation, down, 100)
    missed = run("eu-west-1 us-east-1", "--yes")
    assert (missed.status, versions("us-east-1")) == (1, [2, 1])
    assert "eu-west-1  failed: " in missed.errors
    assert run("eu-west-1 us-east-1").status == 1

    aws.recover()
    status, output, _ = run("eu-west-1 us-east-1", "--yes")
    assert status == 0
    assert arn("eu-west-1", 2) in output
    assert arn("us-east-1", 2) in output


@pytest.mark.parametrize("fault", [down, garbled])
def test_the_account_is_asked_for_until_a_region_answers(run: Run, aws: Front, fault: Any) -> None:
    aws.fail("eu-west-1", "account", fault, 2)
    aws.fail("us-east-1", "account", fault, 1)
    assert run("eu-west-1 us-east-1").status == 0
    assert aws.seen["us-east-1", "account"] == 2


def test_no_region_answers(run: Run, aws: Front) -> None:
    aws.fail("eu-west-1", "account", down, 100)
    aws.fail("us-east-1", "account", down, 100)
    status, _, errors = run("eu-west-1 us-east-1", "--yes")
    assert (status, errors.count("Connection was closed")) == (1, 1)
    assert aws.seen["us-east-1", "account"] == trouble.ATTEMPTS


def test_an_answer_that_was_lost_does_not_publish_twice(
    run: Run, aws: Front, versions: Versions
) -> None:
    aws.fail("eu-west-1", "publish", lost)
    assert run("eu-west-1", "--yes").status == 0
    assert versions("eu-west-1") == [1]


def test_a_permission_whose_answer_was_lost_is_there(run: Run, aws: Front) -> None:
    aws.fail("eu-west-1", "allow", lost)
    assert run("eu-west-1", "--yes", "--access", "public").status == 0


def test_a_run_that_is_killed_in_the_middle_is_finished_by_the_next(
    run: Run, aws: Front, versions: Versions, layer_zip: Path, layers: Path
) -> None:
    """One region is done, the other has the version but not yet the permission."""
    reached, ended = threading.Event(), threading.Event()

    def hang(ask: Callable[[], Answer]) -> Answer | None:
        reached.set()
        ended.wait(timeout=60)
        return None

    aws.fail("eu-west-1", "allow", hang)
    command = [sys.executable, "-m", "lamella.tools", "layer", "publish", "--yes"]
    command += ["--access", "public", "--region", "eu-west-1 us-east-1"]
    command += ["--layer", str(layer_zip), "--ledger", str(layers)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert reached.wait(timeout=60)
        _wait_until(lambda: layers.exists())
        process.send_signal(signal.SIGKILL)
    ended.set()
    assert list(Ledger(layers).entries("lamella")) == ["us-east-1"]
    assert [versions("eu-west-1"), versions("us-east-1")] == [[1], [1]]

    aws.recover()
    assert run("eu-west-1 us-east-1", "--yes", "--access", "public").status == 0
    assert [versions("eu-west-1"), versions("us-east-1")] == [[1], [1]]
    assert aws.seen["eu-west-1", "allow"] == 1
    assert list(Ledger(layers).entries("lamella")) == ["eu-west-1", "us-east-1"]


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.1)
    raise AssertionError("waited for a minute")


def test_a_region_without_arm64_refuses_the_field_and_gets_the_layer(
    run: Run, aws: Front, client: Callable[[str], Any]
) -> None:
    message = (
        "CompatibleArchitectures are not supported in eu-west-1. Please remove the "
        "CompatibleArchitectures value from your request and try again"
    )
    aws.fail("eu-west-1", "publish", error(400, "InvalidParameterValueException", message))
    assert run("eu-west-1", "--yes").status == 0
    stored = client("eu-west-1").get_layer_version(LayerName="lamella", VersionNumber=1)
    assert "CompatibleArchitectures" not in stored
    assert "python3.13" in stored["CompatibleRuntimes"]


def test_a_refusal_is_not_tried_again_and_says_what_to_do(run: Run, aws: Front) -> None:
    message = "User is not authorized to perform: lambda:PublishLayerVersion"
    aws.fail("eu-west-1", "publish", error(403, "AccessDeniedException", message), 100)
    status, _, told = run("eu-west-1", "--yes")
    assert (status, aws.seen["eu-west-1", "publish"]) == (1, 1)
    assert f"{message}: docs/publishing.md lists the permissions that publishing needs" in told


def test_a_permission_that_is_refused_fails_the_region(run: Run, aws: Front, layers: Path) -> None:
    aws.fail("eu-west-1", "allow", error(403, "AccessDeniedException", "no"))
    assert run("eu-west-1", "--yes", "--access", "public").status == 1
    assert not layers.exists()


def test_a_parameter_that_is_refused_fails_the_region(
    run: Run, aws: Front, layers: Path, parameters: Callable[[str], str | None]
) -> None:
    """The version is there, nobody is told of it, and the next run finishes."""
    message = "User is not authorized to perform: ssm:PutParameter"
    aws.fail("eu-west-1", "parameter", refused_parameter(message))
    options = ("--yes", "--ssm", "/lamella/layer-arn")
    status, output, told = run("eu-west-1 us-east-1", *options)
    assert (status, output) == (1, f"{arn('us-east-1', 1)}\n")
    assert f"{message}: docs/publishing.md lists the permissions" in told
    assert list(json.loads(layers.read_text())["lamella"]) == ["us-east-1"]

    assert run("eu-west-1 us-east-1", *options).status == 0
    assert parameters("eu-west-1") == arn("eu-west-1", 1)


def refused_parameter(message: str) -> Any:
    """The error as Systems Manager words it: in the body, unlike Lambda."""
    body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
    return lambda ask: Answer(400, {"Content-Type": "application/x-amz-json-1.1"}, body)


def test_a_conflict_that_is_no_permission_is_not_taken_for_one(run: Run, aws: Front) -> None:
    run("eu-west-1", "--yes", "--access", "account:210987654321")
    message = "Another operation is in progress"
    aws.fail("eu-west-1", "allow", error(409, "ResourceConflictException", message))
    status, _, told = run("eu-west-1", "--yes", "--access", "public")
    assert (status, message in told) == (1, True)


def test_other_bytes_than_those_sent_are_noticed(run: Run, aws: Front) -> None:
    def corrupt(ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        body = json.loads(answer.body)
        body["Content"]["CodeSha256"] = "AAAA"
        return answer._replace(body=json.dumps(body).encode())

    aws.fail("eu-west-1", "publish", corrupt)
    status, output, told = run("eu-west-1", "--yes")
    assert (status, output) == (1, "")
    assert f"but Lambda has stored AAAA as {arn('eu-west-1', 1)}: delete that version" in told


def test_without_credentials(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    status, _, errors = run("eu-west-1")
    assert status == 1
    assert errors == (
        "Error: Unable to locate credentials: set AWS_PROFILE, or name a --profile of your AWS "
        "configuration\n"
    )


def test_a_record_that_cannot_be_written_fails_the_region_and_stays_whole(
    run: Run, layers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("us-east-1", "--yes")
    before = layers.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    status, _, told = run("eu-west-1", "--yes")
    assert status == 1
    assert "failed: [Errno 28] No space left on device" in told
    assert layers.read_text() == before
    assert sorted(os.listdir(layers.parent)) == ["layer.zip", "layers.json"]


def test_a_record_that_cannot_be_read_is_not_overwritten(run: Run, layers: Path) -> None:
    layers.write_text("<<<<<<< HEAD\n")
    status, _, errors = run("eu-west-1", "--yes")
    assert (status, layers.read_text()) == (1, "<<<<<<< HEAD\n")
    assert f"{layers} cannot be read: " in errors
    assert "Restore it from git" in errors
