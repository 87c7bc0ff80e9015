"""Ways to an address: through a function, and with the body's hash."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.aws import stack
from tests.aws.conftest import RefusingLambda
from tests.aws.transports import AwakeTransport, HashingTransport, InvokeTransport
from tests.contract.checks import ENCODED, Target, contract_of
from tests.contract.invoking import lambda_client
from tests.contract.judges import lamella, uvicorn
from tests.ports import free_port


@pytest.fixture(scope="module")
def server(opt: Path) -> Iterator[Target]:
    """The contract's application on a web server."""
    with uvicorn(opt) as target:
        yield replace(target, websocket="")


@pytest.fixture(scope="module")
def inside(opt: Path, server: Target) -> Iterator[Target]:
    """The same server, asked by the client's function in the local Lambda."""
    with lamella(opt, folder=stack.HERE / "function") as url, lambda_client(url) as client:
        yield replace(
            server,
            streams=False,
            max_request=ENCODED,
            transport=partial(InvokeTransport, client, "local"),
        )


CHECKS = list(contract_of(Target("http://any")))


@pytest.mark.parametrize("check", CHECKS)
def test_a_function_sends_what_the_contract_asks(inside: Target, check: str) -> None:
    contract_of(inside)[check](inside)


def test_what_the_function_could_not_send_is_an_error_of_the_connection(inside: Target) -> None:
    nobody = replace(inside, url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(httpx.ReadError, match="local: "):
        nobody.ask("GET", "/")


def test_a_request_that_is_too_large_for_an_event_could_not_be_sent() -> None:
    refusing = RefusingLambda("RequestEntityTooLargeException", 413)
    lattice = Target("http://any", transport=partial(InvokeTransport, refusing, "client"))
    with pytest.raises(httpx.WriteError, match=r"client: .*RequestEntityTooLargeException"):
        lattice.ask("POST", "/")


@pytest.mark.parametrize(
    ("code", "status"), [("TooManyRequestsException", 429), ("AccessDeniedException", 403)]
)
def test_what_else_lambda_refuses_says_nothing_of_the_door(code: str, status: int) -> None:
    """As an error of httpx it would look like a door's limit: probes.py."""
    refusing = RefusingLambda(code, status)
    lattice = Target("http://any", transport=partial(InvokeTransport, refusing, "client"))
    with pytest.raises(ClientError, match=code):
        lattice.ask("GET", "/")


def test_a_silent_connection_says_every_minute_that_it_is_there(server: Target) -> None:
    awake = replace(server, transport=AwakeTransport)
    with awake.client() as client, client.stream("GET", "/text") as response:
        connection = response.extensions["network_stream"].get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert response.status_code == 200


@pytest.mark.parametrize("body", [b"", b"a body"])
def test_the_hash_of_the_body_is_sent(server: Target, body: bytes) -> None:
    hashing = replace(server, transport=HashingTransport)
    seen = hashing.seen("POST", "/request", content=body)
    headers = dict(seen["headers"])
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest() == seen["sha256"]
