"""Ways to an address: through a function, and with the body's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import boto3
import httpx
import pytest

from tests.aws import stack
from tests.aws.transports import HashingTransport, InvokeTransport
from tests.contract.checks import ENCODED, Target, contract_of
from tests.contract.judges import uvicorn
from tests.local.command import Cli
from tests.ports import free_port


@pytest.fixture(scope="module")
def server(opt: Path) -> Iterator[Target]:
    """The contract's application on a web server."""
    with uvicorn(opt) as target:
        yield replace(target, websocket="")


@pytest.fixture(scope="module")
def inside(opt: Path, server: Target) -> Iterator[Target]:
    """The same server, asked by the client's function in the local Lambda."""
    folder = stack.HERE / "function"
    cli = Cli("run", "main:app", "--port", "0", "--layer", str(opt), cwd=folder)
    client = boto3.client(
        "lambda",
        "us-east-1",
        endpoint_url=cli.url().rstrip("/"),
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    try:
        yield replace(
            server,
            streams=False,
            max_request=ENCODED,
            transport=partial(InvokeTransport, client, "local"),
        )
    finally:
        client.close()
        cli.close()


CHECKS = list(contract_of(Target("http://any")))


@pytest.mark.parametrize("check", CHECKS)
def test_a_function_sends_what_the_contract_asks(inside: Target, check: str) -> None:
    contract_of(inside)[check](inside)


def test_what_the_function_could_not_send_is_an_error_of_the_connection(inside: Target) -> None:
    nobody = replace(inside, url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(httpx.ReadError, match="local: "):
        nobody.ask("GET", "/")


@pytest.mark.parametrize("body", [b"", b"a body"])
def test_the_hash_of_the_body_is_sent(server: Target, body: bytes) -> None:
    hashing = replace(server, transport=HashingTransport)
    seen = hashing.seen("POST", "/request", content=body)
    headers = dict(seen["headers"])
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest() == seen["sha256"]
