"""@connections as botocore calls it: send, ask, close; and each way to be refused."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from functools import partial
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials

from lamella.local.endpoints.websockets.api import WebSocketApi
from lamella.local.endpoints.websockets.management import Management
from tests.local.conftest import Configure
from tests.local.endpoints.test_websocket_gateway import ending
from tests.local.websocket_client import LOCAL, Served, closed, serving, signed

pytestmark = pytest.mark.anyio

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_error(got: httpx.Response, status: int, error_type: str) -> bool:
    named = got.headers.get("x-amzn-errortype")
    return (got.status_code, named) == (status, error_type) and bool(got.json()["message"])


async def test_post_sends_a_text(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        got = await local.manage("POST", await local.id(), "grüß dich".encode())
        assert (got.status_code, got.content) == (200, b"")
        assert got.headers["x-amzn-requestid"]
        assert await client.recv() == "grüß dich"


async def test_get_tells_of_the_connection(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect(user_agent_header="me") as client:
        first = (await local.manage("GET", await local.id())).json()
        await asyncio.sleep(0.05)
        await client.send("x")
        await local.messages(1)
        second = (await local.manage("GET", await local.id())).json()
    assert sorted(first) == ["connectedAt", "identity", "lastActiveAt"]
    assert first["identity"] == {"sourceIp": "127.0.0.1", "userAgent": "me"}
    assert ISO.fullmatch(first["connectedAt"])
    assert first["connectedAt"] == first["lastActiveAt"] == second["connectedAt"]
    assert second["lastActiveAt"] > first["lastActiveAt"]


async def test_delete_closes_the_connection(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        connection_id = await local.id()
        assert (await local.manage("DELETE", connection_id)).status_code == 204
        assert (await closed(client))[0] == 1000
        assert await ending(local) == (1000, "Connection Closed Normally")
        assert is_error(await local.manage("DELETE", connection_id), 410, "GoneException")


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_an_unknown_connection_is_gone(configure: Configure, method: str) -> None:
    async with serving(configure()) as local:
        assert is_error(await local.manage(method, "R1kmxc2VNjMCFIA="), 410, "GoneException")


async def test_a_closed_connection_is_gone(configure: Configure) -> None:
    async with serving(configure()) as local:
        async with local.connect():
            connection_id = await local.id()
        await local.event("DISCONNECT")
        assert is_error(await local.manage("POST", connection_id, b"x"), 410, "GoneException")


async def test_a_connection_is_gone_until_its_connect_is_answered(configure: Configure) -> None:
    async with serving(configure()) as local:
        wish = {"do": "hold", "until": "go", "result": {"statusCode": 200}}
        connecting = asyncio.ensure_future(local.connect(wish=wish).__aenter__())
        for method in ("POST", "GET", "DELETE"):
            early = await local.manage(method, await local.id(), b"early")
            assert is_error(early, 410, "GoneException")
        (local.function.config.task_root / "go").touch()
        client = await connecting
        assert (await local.manage("POST", await local.id(), b"now")).status_code == 200
        assert await client.recv() == "now"
        await client.close()


async def test_the_size_of_a_message_is_limited(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect(max_size=None) as client:
        connection_id = await local.id()
        got = await local.manage("POST", connection_id, b"x" * 131_073)
        assert is_error(got, 413, "PayloadTooLargeException")
        assert "131073 bytes; 131072 are allowed" in got.text
        assert (await local.manage("POST", connection_id, b"x" * 131_072)).status_code == 200
        assert len(await client.recv()) == 131_072


async def test_bytes_that_are_no_text_are_refused(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect():
        got = await local.manage("POST", await local.id(), b"\xff")
        assert is_error(got, 400, "BadRequestException")


async def test_the_rate_of_messages_can_be_limited(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    clocked = partial(Management, clock=lambda: now)
    monkeypatch.setattr("lamella.local.endpoints.websockets.gateway.Management", clocked)
    api = WebSocketApi(posts_per_second=2)
    async with serving(configure(), api) as local, local.connect() as client:
        connection_id = await local.id()
        posts = [local.manage("POST", connection_id, b"x") for _ in range(4)]
        answers = await asyncio.gather(*posts)
        assert sorted(got.status_code for got in answers) == [200, 200, 429, 429]
        late = next(got for got in answers if got.status_code == 429)
        assert is_error(late, 429, "LimitExceededException")
        now = 1.1
        assert (await local.manage("POST", connection_id, b"later")).status_code == 200
        assert [await client.recv() for _ in range(3)] == ["x", "x", "later"]


async def test_other_methods(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect():
        got = await local.manage("PUT", await local.id(), b"x")
        assert is_error(got, 403, "ForbiddenException")


# Signatures


async def test_an_unsigned_request_is_refused(configure: Configure) -> None:
    async with serving(configure()) as local, httpx.AsyncClient() as client:
        url = f"{local.endpoint}/@connections/R1kmxc2VNjMCFIA%3D"
        for headers in ({}, {"authorization": "Bearer x"}):
            got = await client.post(url, content=b"x", headers=headers)
            assert is_error(got, 403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("options", "error_type", "words"),
    [
        ({"service": "s3"}, "InvalidSignatureException", "not to us-east-1/s3"),
        ({"region": "eu-west-1"}, "InvalidSignatureException", "not to eu-west-1/execute-api"),
        (
            {"credentials": Credentials("other", "local")},
            "UnrecognizedClientException",
            "'other' is not the function's AWS_ACCESS_KEY_ID",
        ),
        (
            {"credentials": Credentials("local", "wrong")},
            "InvalidSignatureException",
            "does not match the signature you provided",
        ),
    ],
)
async def test_a_wrong_signature_is_refused(
    configure: Configure, options: Any, error_type: str, words: str
) -> None:
    async with serving(configure()) as local, local.connect():
        got = await local.manage("POST", await local.id(), b"x", **options)
        assert is_error(got, 403, error_type)
        assert words in got.json()["message"]


@pytest.mark.parametrize("told", [{}, {"X-Amz-Content-SHA256": hashlib.sha256(b"y").hexdigest()}])
async def test_a_body_that_was_not_signed_is_refused(
    configure: Configure, told: dict[str, str]
) -> None:
    async with serving(configure()) as local, httpx.AsyncClient() as client:
        url = f"{local.endpoint}/@connections/R1kmxc2VNjMCFIA%3D"
        headers = signed("POST", url, b"y", headers=told)
        got = await client.post(url, content=b"x", headers=headers)
        assert is_error(got, 403, "InvalidSignatureException")


async def test_an_old_signature_is_refused(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(configure()) as local:
        later = time.time() + 301
        monkeypatch.setattr(
            "lamella.local.endpoints.websockets.management.time.time", lambda: later
        )
        got = await local.manage("GET", "R1kmxc2VNjMCFIA=")
        assert is_error(got, 403, "InvalidSignatureException")
        assert "Signature expired: x-amz-date is '20" in got.text


async def test_the_functions_own_credentials_count(configure: Configure) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "secret"}
    async with serving(configure(environment=environment)) as local, local.connect():
        mine = Credentials("mine", "secret", "token")
        got = await local.manage("GET", await local.id(), credentials=mine)
        assert got.status_code == 200
        theirs = await local.manage("GET", await local.id(), credentials=LOCAL)
        assert theirs.status_code == 403


async def test_a_signature_of_a_query(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect():
        assert (await query(local, "?b=2&a=1")).status_code == 200


async def query(local: Served, text: str) -> httpx.Response:
    connection_id = (await local.id()).replace("=", "%3D")
    url = f"{local.endpoint}/@connections/{connection_id}{text}"
    async with httpx.AsyncClient() as client:
        return await client.get(url, headers=signed("GET", url))
