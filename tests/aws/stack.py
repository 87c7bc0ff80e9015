"""The stack's life: made, found again after a crash, and deleted whatever happens.

A run has one name, for its stack and for the bucket from which CloudFormation takes the zips. Both
carry TAG, by which a later run finds what an earlier one left.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from layer import archive

HERE = Path(__file__).parent
TEMPLATE = HERE / "template.yaml"
TAG = "lamella-verify"
NAME = re.compile(rf"{TAG}-[0-9a-f]{{8}}")

PAUSE = 5.0
"""Seconds between two looks at a stack."""

CREATE_LIMIT = 30 * 60
DELETE_LIMIT = 60 * 60
"""Seconds. CloudFront and the network interfaces of functions take most of them."""

ATTEMPTS = 3
"""Of a deletion that fails: a network interface may be there until Lambda has let it go."""

OPTIONAL = {"Python315": "--no-preview", "Durable": "--no-durable"}
"""What a region may lack: how its logical ids begin, and the option that leaves it out."""

Client = Callable[[str], Any]
Tell = Callable[[str], None]


class StackError(Exception):
    """The stack could not be made; the message says which resources failed, and why."""


@dataclass(frozen=True)
class Zips:
    """The files that the template's parameters name."""

    layer: bytes
    function: bytes
    client: bytes

    @classmethod
    def packed(cls, layer: Path, folder: Path) -> Zips:
        """The layer's zip as it is, and the code of both functions, packed in `folder`."""
        code = {"function": HERE.parent / "contract" / "function", "client": HERE / "function"}
        packed = {}
        for name, source in code.items():
            files = {path.name: path.read_bytes() for path in source.glob("*.py")}
            archive.write(files, folder / f"{name}.zip")
            packed[name] = (folder / f"{name}.zip").read_bytes()
        return cls(layer.read_bytes(), **packed)


@dataclass(frozen=True)
class Made:
    """What CloudFormation says of the stack: functions by logical id, and its outputs."""

    functions: Mapping[str, str]
    outputs: Mapping[str, str]


def new_name() -> str:
    """The name of a run."""
    return f"{TAG}-{secrets.token_hex(4)}"


def make(
    client: Client,
    name: str,
    zips: Zips,
    tell: Tell,
    *,
    template: Path,
    parameters: Mapping[str, str],
) -> Made:
    """Upload the zips, create the stack, and wait until it stands. Raises StackError."""
    _bucket(client("s3"), name)
    for key in ("layer", "function", "client"):
        client("s3").put_object(Bucket=name, Key=f"{key}.zip", Body=getattr(zips, key))
    cloudformation = client("cloudformation")
    values = {"Bucket": name, **parameters}
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=template.read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        OnFailure="DO_NOTHING",  # its reasons are read, and then it is deleted
        Tags=[{"Key": TAG, "Value": name}],
    )
    stack = _created(cloudformation, name, tell)
    functions = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in _resources(cloudformation, name)
        if each["ResourceType"] == "AWS::Lambda::Function"
    }
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
    return Made(functions, outputs)


def leftovers(client: Client) -> dict[str, str]:
    """What runs before this one have left in the region: by name, what there is of it."""
    found = {}
    for page in client("cloudformation").get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if any(tag["Key"] == TAG for tag in stack.get("Tags", ())):
                begun = f"{stack['CreationTime']:%Y-%m-%d %H:%M} UTC"
                found[stack["StackName"]] = f"a stack of {begun}, {stack['StackStatus']}"
    for name in _buckets(client("s3")):
        found[name] = f"{found[name]}, and its bucket" if name in found else "a bucket"
    return found


def begin_deletion(client: Client, name: str) -> list[str]:
    """Ask CloudFormation to delete the stack, and delete the bucket; what failed, in sentences.

    CloudFormation then goes on by itself, whatever happens to this process.
    """
    failed = []
    for what, delete in (("stack", _delete_stack), ("bucket", _delete_bucket)):
        try:
            delete(client, name)
        except (BotoCoreError, ClientError) as error:
            failed.append(f"The {what} {name} was not deleted: {error}")
    return failed


def deleted(client: Client, name: str, tell: Tell) -> list[str]:
    """Wait until the stack is gone; what is left after that, in sentences."""
    cloudformation = client("cloudformation")
    end = time.monotonic() + DELETE_LIMIT
    attempt, before = 1, 0
    while state := _state(cloudformation, name):
        status, left = state
        if len(left) != before:
            tell(f"Deleting {name}: {len(left)} resources are left.")
            before = len(left)
        if status == "DELETE_FAILED" and attempt < ATTEMPTS:
            attempt += 1
            _delete_stack(client, name)
        elif status == "DELETE_FAILED" or time.monotonic() > end:
            return [f"The stack {name} is left: {status}.", *map(_named, left)]
        time.sleep(PAUSE)
    return []


def _bucket(s3: Any, name: str) -> None:
    region = s3.meta.region_name
    # us-east-1 is the default, and refused as a constraint
    where = {} if region == "us-east-1" else {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": TAG, "Value": name}]})


def _buckets(s3: Any) -> Iterator[str]:
    """The buckets of runs in this region, also one whose run ended before it had its tag."""
    pages = s3.get_paginator("list_buckets").paginate(Prefix=f"{TAG}-")
    for name in (each["Name"] for page in pages for each in page.get("Buckets", ())):
        if NAME.fullmatch(name) and _region(s3, name) == s3.meta.region_name:
            yield name


def _region(s3: Any, bucket: str) -> str:
    where: str | None = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint")
    return where or "us-east-1"


def _delete_bucket(client: Client, name: str) -> None:
    s3 = client("s3")
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
            for each in page.get("Contents", ()):
                s3.delete_object(Bucket=name, Key=each["Key"])
        s3.delete_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise


def _delete_stack(client: Client, name: str) -> None:
    client("cloudformation").delete_stack(StackName=name)


def _created(cloudformation: Any, name: str, tell: Tell) -> Any:
    end = time.monotonic() + CREATE_LIMIT
    before = 0
    while True:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            return stack
        if status != "CREATE_IN_PROGRESS":
            raise StackError(f"The stack was not made: {status}.\n{_reasons(cloudformation, name)}")
        if time.monotonic() > end:
            raise StackError(f"The stack was not there after {CREATE_LIMIT // 60} minutes.")
        resources = list(_resources(cloudformation, name))
        there = sum(each["ResourceStatus"] == "CREATE_COMPLETE" for each in resources)
        if there != before:
            tell(f"{there} resources are there.")
            before = there
        time.sleep(PAUSE)


def _reasons(cloudformation: Any, name: str) -> str:
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
    failed = {
        each["LogicalResourceId"]: f"({each['ResourceType']}): {each['ResourceStatusReason']}"
        for page in pages
        for each in page["StackEvents"]
        if each["ResourceStatus"] == "CREATE_FAILED"
        and "cancelled" not in each.get("ResourceStatusReason", "cancelled")
    }
    lacks = [
        option for part, option in OPTIONAL.items() if any(each.startswith(part) for each in failed)
    ]
    lines = [f"  {each} {why}" for each, why in failed.items()]
    lines += [f"This region may lack it. Without it: make aws AWS_ARGS={each}" for each in lacks]
    return "\n".join(lines) or "  CloudFormation names no resource."


def _resources(cloudformation: Any, name: str) -> Iterator[Any]:
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name):
        yield from page["StackResourceSummaries"]


def _state(cloudformation: Any, name: str) -> tuple[str, list[Any]] | None:
    """The stack's status, and its resources that are not deleted; None: there is no such stack."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        resources = list(_resources(cloudformation, name))
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    left = [each for each in resources if each["ResourceStatus"] != "DELETE_COMPLETE"]
    status: str = stack["StackStatus"]
    return None if status == "DELETE_COMPLETE" else (status, left)


def _named(resource: Any) -> str:
    reason = resource.get("ResourceStatusReason", "")
    return (
        f"  {resource['LogicalResourceId']} ({resource['ResourceType']}, "
        f"{resource.get('PhysicalResourceId', 'without a name')}): "
        f"{resource['ResourceStatus']}{f', {reason}' if reason else ''}"
    )
