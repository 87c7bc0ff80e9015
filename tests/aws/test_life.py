"""The stack's life, in moto's AWS: whatever happens to the command, nothing is left."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tests.aws import questions, stack
from tests.aws.__main__ import chosen, parsed
from tests.aws.conftest import At, Client, Left, Run

pytestmark = pytest.mark.timeout(600)  # moto is imported with its first request

INTERRUPT = partial(signal.raise_signal, signal.SIGINT)
TERMINATE = partial(signal.raise_signal, signal.SIGTERM)

PHASES: dict[str, Callable[[], object]] = {
    "before CreateBucket 1": INTERRUPT,
    "after CreateBucket 1": TERMINATE,
    "after PutObject 1": INTERRUPT,
    "before CreateStack 1": TERMINATE,
    "after CreateStack 1": INTERRUPT,
    "before ListStackResources 1": TERMINATE,
}
"""Where a run is stopped before the contract begins, and how."""

ENDED: dict[Callable[[], object], int] = {
    INTERRUPT: 128 + signal.SIGINT,
    TERMINATE: 128 + signal.SIGTERM,
}


def test_a_run_leaves_nothing(run: Run, at: At, left: Left) -> None:
    there: list[str] = []
    at["before ListStackResources 1"] = lambda: there.extend(left())
    ran = run("--yes")
    assert len(there) == 3, there  # stack, bucket, function
    assert left() == []
    assert ran.status == 1, "nobody is behind the door, so that every check failed"
    assert "All of it is deleted." in ran.output


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_ends_in_the_deletion(run: Run, at: At, left: Left, phase: str) -> None:
    at[phase] = PHASES[phase]
    ran = run("--yes")
    assert ran.status == ENDED[PHASES[phase]]
    assert left() == []
    assert "All of it is deleted." in ran.output
    assert "Ended by SIG" in ran.output


def test_a_signal_during_the_contract_ends_in_the_deletion(
    run: Run, left: Left, template: Callable[..., Path]
) -> None:
    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        threading.Thread(target=door.serve_forever, args=(0.05,)).start()
        ran = run("--yes", path=template(OneLine=f"http://127.0.0.1:{door.server_port}"))
        door.shutdown()
    assert ran.status == 130
    assert left() == []


def cut_off() -> None:
    raise EndpointConnectionError(endpoint_url="https://lambda.example")


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [(INTERRUPT, 130, "Ended by SIGINT."), (cut_off, 1, "AWS: Could not connect")],
    ids=["signal", "failure"],
)
def test_whatever_ends_the_questions_ends_in_the_deletion(
    run: Run,
    left: Left,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[], object],
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(questions, "ask", lambda deployed: end())
    ran = run("--yes")
    assert ran.status == status
    assert left() == []
    assert said in ran.output


def test_more_signals_do_not_stop_the_deletion(run: Run, at: At, left: Left) -> None:
    at["after CreateStack 1"] = INTERRUPT
    at["before DeleteStack 1"] = at["before DeleteBucket 1"] = INTERRUPT
    at["after DeleteStack 1"] = TERMINATE
    ran = run("--yes")
    assert ran.status == 130
    assert left() == []


def test_a_signal_ends_the_waiting_for_the_deletion(run: Run, at: At, left: Left) -> None:
    """The deletion is CloudFormation's by then, and the command says how to look after it."""
    at["after CreateStack 1"] = INTERRUPT
    at["before DescribeStacks 2"] = TERMINATE  # the first one looked for leftovers
    ran = run("--yes")
    assert ran.status == 143
    assert "CloudFormation goes on." in ran.output
    assert "-m tests.aws --delete --region eu-west-1" in ran.output
    assert left() == []


def test_a_failure_of_the_deletion_says_what_to_do(run: Run, at: At, left: Left) -> None:
    def down() -> None:
        raise EndpointConnectionError(endpoint_url="https://cloudformation.example")

    at["before DeleteStack 1"] = down
    at["before DescribeStacks 3"] = down
    ran = run("--yes")
    assert ran.status == 1
    assert "was not deleted: Could not connect to the endpoint URL" in ran.output
    assert "Try it again: " in ran.output
    assert len(left()) == 2, "the bucket is deleted all the same"
    assert run("--delete", "--yes").status == 0
    assert left() == []


def test_the_next_run_deletes_what_a_killed_one_left(
    run: Run, at: At, left: Left, killed: Callable[[str], int]
) -> None:
    assert killed("CreateStack") == -signal.SIGKILL
    assert len(left()) == 3
    there: list[str] = ["not asked"]
    at["before CreateBucket 1"] = lambda: there.__init__(left())  # type: ignore[misc]
    ran = run("--yes")
    assert there == []
    assert "An earlier run has left lamella-verify-" in ran.output
    assert left() == []


def test_delete_does_only_that(run: Run, left: Left, aws: Client) -> None:
    where = {"LocationConstraint": "eu-west-1"}
    aws("s3").create_bucket(Bucket="lamella-verify-89abcdef", CreateBucketConfiguration=where)
    aws("s3").put_object(Bucket="lamella-verify-89abcdef", Key="layer.zip", Body=b"")
    ran = run("--delete", "--yes")
    assert ran.status == 0
    assert left() == []
    assert "has left lamella-verify-89abcdef in eu-west-1: a bucket." in ran.output
    assert "All of it is deleted." in ran.output
    assert "US dollars" not in ran.output
    again = run("--delete", "--yes")
    assert again.status == 0
    assert "Nothing is left in eu-west-1." in again.output


def test_other_stacks_and_buckets_are_left_alone(run: Run, left: Left, aws: Client) -> None:
    aws("cloudformation").create_stack(
        StackName="lamella-verify-0a0b0c0d", TemplateBody="Resources: {Q: {Type: AWS::SQS::Queue}}"
    )
    where = {"LocationConstraint": "eu-west-1"}
    aws("s3").create_bucket(Bucket="lamella-verify-mine", CreateBucketConfiguration=where)
    elsewhere = boto3.client("s3", "us-east-1")
    elsewhere.create_bucket(Bucket="lamella-verify-01234567")
    elsewhere.close()
    before = left()
    assert len(before) == 3
    assert run("--delete", "--yes").status == 0
    assert left() == before


def test_keep_leaves_the_stack_and_says_how_to_delete_it(run: Run, left: Left) -> None:
    ran = run("--yes", "--keep")
    assert len(left()) == 3
    assert "This deletes it: " in ran.output
    assert run("--delete", "--yes").status == 0
    assert left() == []


def quiet(text: str) -> None:
    """Tell nobody."""


class Clock:
    """CloudFormation's clock: each pause of the command is five minutes long."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += 300


def failing(aws: Client, times: int) -> Client:
    """AWS, but the deletion of a stack fails so many times, as over a network interface."""
    attempts: list[str] = []

    class CloudFormation:
        def __init__(self, client: Any) -> None:
            self.client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self.client, name)

        def delete_stack(self, StackName: str) -> None:
            attempts.append(StackName)
            if len(attempts) > times:
                self.client.delete_stack(StackName=StackName)

        def describe_stacks(self, StackName: str) -> Any:
            said = self.client.describe_stacks(StackName=StackName)
            return {"Stacks": [each | {"StackStatus": "DELETE_FAILED"} for each in said["Stacks"]]}

    def client(service: str) -> Any:
        made = aws(service)
        return CloudFormation(made) if service == "cloudformation" else made

    return client


@pytest.fixture
def made(aws: Client) -> str:
    """The name of a stack that is there."""
    name = stack.new_name()
    aws("cloudformation").create_stack(
        StackName=name, TemplateBody="Resources: {Q: {Type: AWS::SQS::Queue}}"
    )
    return name


def test_a_deletion_that_fails_is_tried_again(aws: Client, left: Left, made: str) -> None:
    client = failing(aws, 2)
    assert stack.begin_deletion(client, made) == []
    assert stack.deleted(client, made, quiet) == []
    assert left() == []


def test_a_deletion_that_goes_on_failing_names_what_is_left(aws: Client, made: str) -> None:
    client = failing(aws, 3)
    assert stack.begin_deletion(client, made) == []
    first, resource = stack.deleted(client, made, quiet)
    assert first == f"The stack {made} is left: DELETE_FAILED."
    assert resource.startswith("  Q (AWS::SQS::Queue, https://")
    assert resource.endswith("CREATE_COMPLETE")


def test_nobody_waits_for_ever(
    aws: Client, made: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(stack, "time", clock)
    first, _ = stack.deleted(aws, made, quiet)
    assert first == f"The stack {made} is left: CREATE_COMPLETE."
    assert clock.now == pytest.approx(stack.DELETE_LIMIT, abs=300)

    class Unfinished:
        def __call__(self, service: str) -> Any:
            return self if service == "cloudformation" else aws(service)

        def __getattr__(self, name: str) -> Any:
            return getattr(aws("cloudformation"), name)

        def describe_stacks(self, StackName: str) -> Any:
            return {"Stacks": [{"StackStatus": "CREATE_IN_PROGRESS"}]}

    clock.now = 0.0
    zips = stack.Zips.packed(tmp_path / "layer.zip", tmp_path)
    template = tmp_path / "queue.yaml"
    template.write_text(
        "Parameters: {Bucket: {Type: String}}\nResources: {Q: {Type: AWS::SQS::Queue}}"
    )
    with pytest.raises(stack.StackError, match="was not there after 30 minutes"):
        stack.make(Unfinished(), stack.new_name(), zips, quiet, template=template, parameters={})
    assert clock.now == pytest.approx(stack.CREATE_LIMIT, abs=300)


class Refusing:
    """CloudFormation in a region without durable functions, where two more resources fail."""

    def __init__(self, aws: Client) -> None:
        self.aws = aws
        self.parameters: dict[str, str] = {}

    def __call__(self, service: str) -> Any:
        return self if service == "cloudformation" else self.aws(service)

    def create_stack(self, Parameters: list[dict[str, str]], **options: Any) -> None:
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in Parameters}

    def describe_stacks(self, StackName: str) -> Any:
        return {"Stacks": [{"StackStatus": "CREATE_FAILED"}]}

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, StackName: str) -> Iterator[Any]:
        reasons = {
            "Durable": "DurableConfig is not supported in this region.",
            "MayLog": "The role lamella-verify-01234567-Python315Arm is not there.",
            "Q": "Resource creation cancelled",
        }
        events = [
            {
                "LogicalResourceId": name,
                "ResourceType": "AWS::Lambda::Function",
                "ResourceStatus": "CREATE_FAILED",
                "ResourceStatusReason": reason,
            }
            for name, reason in reasons.items()
        ]
        yield {"StackEvents": events}


def test_what_a_region_lacks_is_named_with_the_option_that_omits_it(
    aws: Client, tmp_path: Path, arguments: list[str]
) -> None:
    region = Refusing(aws)
    zips = stack.Zips.packed(tmp_path / "layer.zip", tmp_path)
    name = stack.new_name()
    options = chosen(parsed([*arguments, "--no-preview"]))
    with pytest.raises(stack.StackError) as refused:
        stack.make(region, name, zips, quiet, template=stack.TEMPLATE, parameters=options)
    assert str(refused.value).split("\n") == [
        "The stack was not made: CREATE_FAILED.",
        "  Durable (AWS::Lambda::Function): DurableConfig is not supported in this region.",
        "  MayLog (AWS::Lambda::Function): The role lamella-verify-01234567-Python315Arm is not "
        "there.",
        "This region may lack it. Without it: make aws AWS_ARGS=--no-durable",
    ]
    assert region.parameters == {"Bucket": name, "Preview": "false"}


def test_the_parameters_are_the_template_s() -> None:
    left_out = chosen(parsed(["--no-preview", "--no-durable"]))
    assert left_out == {"Preview": "false", "DurableFunctions": "false"}
    text = stack.TEMPLATE.read_text()
    assert all(f"\n  {name}:\n    Type: String" in text for name in left_out)
    assert all(f"\n  {part}" in text for part in stack.OPTIONAL)
