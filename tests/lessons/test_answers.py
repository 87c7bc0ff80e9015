"""Answers: excluded headers and cookies for every source, and streams that are not held back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import lamella
from lamella.errors import InvocationError
from lamella.invocation import Invocation
from lamella.response.wire import DELIMITER
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.types import Receive, Result, Scope, Send
from tests.events import rest_event, url_event
from tests.lessons.test_life import CONTEXT
from tests.sources import builders

SOURCES = {**builders.HTTP_EVENTS, "alb-single": builders.alb_single_event}


async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [
        (b"X-Secret", b"1"),
        (b"x-open", b"2"),
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("name", SOURCES)
def test_E21_D26_excluded_headers_never_leave_cookies_included(name: str) -> None:
    handler = lamella.Adapter(
        with_headers, lifespan="off", exclude_headers=["X-Secret", "Set-Cookie"]
    )
    sent = json.dumps(handler(SOURCES[name](), CONTEXT)).lower()
    handler.close()
    assert "x-open" in sent
    assert "secret" not in sent
    assert "cookie" not in sent
    assert "b=2" not in sent


@pytest.mark.parametrize("name", SOURCES)
def test_E21_what_is_not_excluded_leaves(name: str) -> None:
    handler = lamella.Adapter(with_headers, lifespan="off")
    sent = json.dumps(handler(SOURCES[name](), CONTEXT)).lower()
    handler.close()
    assert all(part in sent for part in ("x-secret", "x-open", "a=1", "b=2"))


class Client:
    """The other end of a streamed answer; a `StreamingReply` and its `Stream` in one."""

    at_once = True

    def __init__(self) -> None:
        self.received = b""
        self.ended = False

    def send(self, result: Result) -> None:
        raise AssertionError(f"buffered: {result}")

    def fail(self, error: InvocationError) -> None:
        raise error

    def stream(self) -> Client:
        return self

    def write(self, data: bytes) -> None:
        self.received += data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        self.received += data
        self.ended = True


@pytest.mark.anyio
@pytest.mark.parametrize("event", [url_event(), rest_event()], ids=["url", "rest"])
async def test_E30_D1_a_part_is_with_the_client_before_the_next_one_is_made(event: Any) -> None:
    client = Client()
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for part in (b"one", b"two", b"three"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            bodies.append(client.received.partition(DELIMITER)[2])
        assert not client.ended
        await send({"type": "http.response.body", "body": b""})

    settings = from_arguments({"lifespan": "off", "invoke_mode": "response_stream"})
    cycle = Service(app, settings).open(Invocation(event, CONTEXT), client)
    assert cycle is not None
    await cycle.run(app)
    assert bodies == [b"one", b"onetwo", b"onetwothree"]
    assert client.ended
