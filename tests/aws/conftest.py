"""An AWS to deploy to: moto's server; and the command, which something happens to at a call."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import boto3
import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from layer import archive
from tests.aws import __main__ as aws_command
from tests.aws import stack
from tests.deploy.projects import ROOT
from tests.moto_server import moto_server, stand_for_aws
from tests.ports import free_port

REGION = "eu-west-1"
NOBODY = f"http://127.0.0.1:{free_port()}"

# A layer and functions, as template.yaml has. moto knows no SAM, and no door: where a function is
# reached is what the test says.
TEMPLATE = """
Parameters:
  Bucket: {Type: String}
  Preview: {Type: String, Default: "true"}
Resources:
  Layer:
    Type: AWS::Lambda::LayerVersion
    Properties: {LayerName: !Ref AWS::StackName, Content: {S3Bucket: !Ref Bucket, S3Key: layer.zip}}
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}
"""
FUNCTION = """
  NAME:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: lamella.handler
      Role: !GetAtt Role.Arn
      Layers: [!Ref Layer]
      Code: {S3Bucket: !Ref Bucket, S3Key: function.zip}
"""

# The command as a process that the system kills after a call.
KILLED = """
import os, signal, sys
from pathlib import Path
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from tests.aws.__main__ import main

template, last, *arguments = sys.argv[1:]
call = BaseClient._make_api_call

def until(client, operation, parameters):
    result = call(client, operation, parameters)
    if operation == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

BaseClient._make_api_call = until
main(arguments, Path(template))
"""


class Ran(NamedTuple):
    """What a run of the command came to."""

    status: int
    output: str


Client = Callable[[str], Any]
Run = Callable[..., Ran]
Left = Callable[[], list[str]]
At = dict[str, Callable[[], object]]
"""By moment, such as "before CreateStack 1": what happens then."""


class RefusingLambda:
    """Lambda's API, which refuses every invocation."""

    def __init__(self, code: str, status: int) -> None:
        self.response: Any = {
            "Error": {"Code": code, "Message": "refused"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }

    def invoke(self, **options: Any) -> NoReturn:
        raise ClientError(self.response, "Invoke")


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of moto's server. Its functions run nothing, and answer with their event."""
    with moto_server() as place:
        url = "http://{}:{}".format(*place)
        httpx.post(
            f"{url}/moto-api/config", json={"lambda": {"use_docker": False}}, timeout=None
        ).raise_for_status()
        yield url


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Client:
    """An empty AWS for this process and its children; makes clients of it."""
    httpx.post(f"{moto}/moto-api/reset", timeout=None).raise_for_status()
    stand_for_aws(moto, monkeypatch, tmp_path)
    monkeypatch.setattr(stack, "PAUSE", 0.01)
    monkeypatch.setattr(aws_command, "SETTLE", 0.0)
    session: Any = boto3.Session()
    return lambda service: session.client(service, REGION)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """What happens before and after calls of AWS."""
    happens: At = {}
    calls: Counter[str] = Counter()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's stubs lack it

    def counted(client: Any, operation: str, parameters: Any) -> Any:
        calls[operation] += 1
        happens.get(f"before {operation} {calls[operation]}", int)()
        result = call(client, operation, parameters)
        happens.get(f"after {operation} {calls[operation]}", int)()
        return result

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    return happens


@pytest.fixture
def template(tmp_path: Path) -> Callable[..., Path]:
    """Writes a template: functions by name, and where they are reached."""

    def template(**addresses: str) -> Path:
        functions = [FUNCTION.replace("NAME", name) for name in addresses]
        outputs = [f"  {name}Address: {{Value: '{url}'}}\n" for name, url in addresses.items()]
        path = tmp_path / "template.yaml"
        path.write_text("".join([TEMPLATE, *functions, "Outputs:\n", *outputs]))
        return path

    return template


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Of every run: a small layer, a page of its own, the region."""
    archive.write({"bootstrap": b"#!/bin/sh\n"}, tmp_path / "layer.zip")
    files = ["--layer", str(tmp_path / "layer.zip"), "--page", str(tmp_path / "verified.md")]
    return [*files, "--region", REGION]


@pytest.fixture
def run(
    aws: Client,
    template: Callable[..., Path],
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs the command with these options; behind the door of its function is nobody."""

    def run(*options: str, path: Path | None = None) -> Ran:
        with pytest.raises(SystemExit) as ended:
            aws_command.main([*arguments, *options], path or template(OneLine=NOBODY))
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, capsys.readouterr().out)

    return run


@pytest.fixture
def killed(
    aws: Client, template: Callable[..., Path], arguments: list[str]
) -> Callable[[str], int]:
    """Runs the command as a process that is killed after this call of AWS; its status."""

    def killed(last: str) -> int:
        words = [str(template(OneLine=NOBODY)), last, *arguments, "--yes"]
        environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        done = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, env=environ)
        return done.returncode

    return killed


@pytest.fixture
def left(aws: Client) -> Left:
    """What is in the account: stacks, buckets and functions. (moto keeps the layers of a stack.)"""

    def left() -> list[str]:
        stacks = aws("cloudformation").describe_stacks()["Stacks"]
        names = [each["StackName"] for each in stacks if each["StackStatus"] != "DELETE_COMPLETE"]
        names += [each["Name"] for each in aws("s3").list_buckets()["Buckets"]]
        names += [each["FunctionName"] for each in aws("lambda").list_functions()["Functions"]]
        return names

    return left
