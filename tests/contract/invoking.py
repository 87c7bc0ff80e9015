"""Invocations through Lambda's API, as the judges of this machine and those of AWS make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import boto3

Send = Callable[[dict[str, Any]], tuple[Any, bool]]
"""Sends an event; the result, and whether the invocation failed."""


def invoke(client: Any, function: str, event: Any, **options: Any) -> tuple[Any, bool]:
    """The result of an invocation, and whether it failed.

    `client` is boto3's for Lambda, and `function` a name, also with an alias behind a colon.
    """
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event), **options)
    return json.load(answer["Payload"]), "FunctionError" in answer


@contextmanager
def lambda_client(api: str = "") -> Iterator[Any]:
    """boto3's client for Lambda: of AWS, or of an Invoke API that takes any credentials."""
    local: dict[str, Any] = {
        "region_name": "us-east-1",
        "endpoint_url": api,
        "aws_access_key_id": "any",
        "aws_secret_access_key": "any",
    }
    with closing(boto3.client("lambda", **(local if api else {}))) as client:
        yield client


@contextmanager
def invoker(function: str, api: str = "") -> Iterator[Send]:
    """Sends events to a function, as `lambda_client` reaches it."""
    with lambda_client(api) as client:
        yield partial(invoke, client, function)
