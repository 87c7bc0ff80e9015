"""Where the credentials come from: Lambda's variables, or the local server that they name."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import h11
import pytest

from lamella.aws.credentials import CredentialSource
from lamella.aws.http import HttpClient
from lamella.aws.sigv4 import Credentials
from lamella.errors import WebSocketError

from .api_gateway import Request, listening, read_request

pytestmark = pytest.mark.anyio

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def source() -> AsyncIterator[CredentialSource]:
    client = HttpClient(5, 2)
    yield CredentialSource(client)
    await client.close()


class Container:
    """The server that Lambda names: gives `status` and `body`, and counts."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.requests: list[Request] = []

    def give(self, key: str, lifetime: timedelta) -> None:
        end = datetime.now(UTC) + lifetime
        self.body = json.dumps(
            {
                "AccessKeyId": key,
                "SecretAccessKey": "secret",
                "Token": "token",
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = h11.Connection(h11.SERVER)
        with contextlib.suppress(ConnectionError):
            while request := await read_request(parser, reader):
                self.requests.append(request)
                await asyncio.sleep(0.01)
                head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.body)}\r\n\r\n"
                writer.write(head.encode() + self.body)
                parser = h11.Connection(h11.SERVER)


@asynccontextmanager
async def container(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Container]:
    played = Container()
    async with listening(played.serve) as port:
        url = f"http://127.0.0.1:{port}/2021-08-23/credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abcd")
        yield played


async def test_the_variables_are_read_each_time(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert await source.get() == Credentials("key", "secret", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "next")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert await source.get() == Credentials("next", "secret", "token")


async def test_the_variables_come_before_the_server(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with container(monkeypatch) as played:
        assert (await source.get()).access_key == "key"
    assert not played.requests


async def test_the_server_is_asked_once_while_its_credentials_are_good(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with container(monkeypatch) as played:
        played.give("first", timedelta(hours=1))
        found = await asyncio.gather(*(source.get() for _ in range(20)))
        assert {*found, await source.get()} == {Credentials("first", "secret", "token")}
    (request,) = played.requests
    assert (request.method, request.target) == ("GET", "/2021-08-23/credentials")
    assert request.headers["authorization"] == "Basic abcd"


async def test_credentials_that_are_about_to_expire_are_asked_for_again(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with container(monkeypatch) as played:
        played.give("first", timedelta(seconds=50))
        assert (await source.get()).access_key == "first"
        played.give("second", timedelta(seconds=90))
        assert (await source.get()).access_key == "second"
        assert (await source.get()).access_key == "second"
    assert len(played.requests) == 2


async def test_credentials_that_are_still_good_outlast_an_outage(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with container(monkeypatch) as played:
        played.give("first", timedelta(seconds=50))
        await source.get()
        played.status = 503
        assert (await source.get()).access_key == "first"
        played.status = 200
        played.give("second", timedelta(hours=1))
        assert (await source.get()).access_key == "second"


async def test_who_waits_shares_a_failure(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with container(monkeypatch) as played:
        played.status = 503
        found = await asyncio.gather(*(source.get() for _ in range(8)), return_exceptions=True)
        assert [type(error) for error in found] == [WebSocketError] * 8
        assert len(played.requests) == 1
        with pytest.raises(WebSocketError):
            await source.get()
        assert len(played.requests) == 2, "whoever comes later asks again"


async def test_credentials_without_an_end_are_kept(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with container(monkeypatch) as played:
        played.body = b'{"AccessKeyId": "key", "SecretAccessKey": "secret"}'
        assert await source.get() == Credentials("key", "secret", None)
        assert await source.get() == Credentials("key", "secret", None)
    assert len(played.requests) == 1


@pytest.mark.parametrize("half", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", None])
async def test_no_credentials_says_what_to_set(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch, half: str | None
) -> None:
    if half:
        monkeypatch.setenv(half, "x")
    with pytest.raises(WebSocketError) as caught:
        await source.get()
    assert str(caught.value) == (
        "There are no AWS credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor "
        "AWS_CONTAINER_CREDENTIALS_FULL_URI is set. Lambda sets them; anywhere else, set the first "
        "two, and AWS_SESSION_TOKEN for a role."
    )


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (400, b"no token", "400 no token"),
        (200, b"<html>", "Expecting value"),
        (200, b"[]", "its answer has no AccessKeyId and SecretAccessKey"),
        (200, b'{"AccessKeyId": "key"}', "its answer has no AccessKeyId and SecretAccessKey"),
        (200, b'{"AccessKeyId": "k", "SecretAccessKey": "s", "Expiration": "soon"}', "soon"),
        (200, b'{"AccessKeyId": "k", "SecretAccessKey": "s", "Expiration": 1}', "'1'"),
        (200, b'{"AccessKeyId": "k", "SecretAccessKey": null}', "its answer has no"),
    ],
)
async def test_a_server_without_credentials_is_named(
    source: CredentialSource,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    why: str,
) -> None:
    async with container(monkeypatch) as played:
        played.status, played.body = status, body
        with pytest.raises(WebSocketError) as caught:
            await source.get()
        played.status = 200
        played.give("later", timedelta(hours=1))
        assert (await source.get()).access_key == "later"
    message, _, reason = str(caught.value).partition(" gave no AWS credentials: ")
    assert message.startswith("AWS_CONTAINER_CREDENTIALS_FULL_URI='http://127.0.0.1:")
    assert why in reason


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://127.0.0.1:1/", "No connection to http://127.0.0.1:1"), ("nowhere", "is not an")],
)
async def test_a_server_that_cannot_be_reached_is_named(
    source: CredentialSource, monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    with pytest.raises(WebSocketError, match=f"gave no AWS credentials: .*{why}") as caught:
        await source.get()
    assert f"AWS_CONTAINER_CREDENTIALS_FULL_URI={url!r}" in str(caught.value)
