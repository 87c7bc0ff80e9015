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


def streamed(app: Any, event: Any, **settings: Any) -> tuple[Any, bytes]:
    """(prelude, body) of a streamed answer."""

    async def run() -> bytes:
        client = Client()
        arguments = {"lifespan": "off", "invoke_mode": "response_stream", **settings}
        cycle = Service(app, from_arguments(arguments)).open(Invocation(event, CONTEXT), client)
        if cycle is not None:
            await cycle.run(app)
        assert client.ended
        return client.received

    head, _, body = asyncio.run(run()).partition(DELIMITER)
    return json.loads(head), body


def answering(status: int, body: bytes, **headers: str) -> Any:
    """An application that answers so, with `_` for `-` in the names of headers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pairs = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize("build", [url_event, rest_event])
@pytest.mark.parametrize(
    ("method", "status", "body", "length"),
    [
        ("GET", 200, b"", "0"),
        ("GET", 302, b"", "0"),
        ("GET", 304, b"", None),
        ("GET", 304, b"null", None),
        ("GET", 204, b"", None),
        ("GET", 204, b"null", None),
        ("GET", 205, b"null", None),
        ("HEAD", 200, b"abc", None),
        ("HEAD", 200, b"", None),
        ("HEAD", 304, b"", None),
    ],
)
def test_a_stream_has_a_length_of_0_where_GET_would_have_it(
    build: Any, method: str, status: int, body: bytes, length: str | None
) -> None:
    prelude, sent = streamed(answering(status, body), build(method=method))
    assert (prelude["statusCode"], prelude["headers"].get("content-length")) == (status, length)
    assert sent == b""


@pytest.mark.parametrize("sizes", [{}, {"content_length": "900"}], ids=["no-length", "length"])
def test_head_has_the_headers_of_get_compressed_or_not(sizes: dict[str, str]) -> None:
    """A length before compression would not be the one of the answer to GET."""
    app = answering(200, b"a" * 900, content_type="text/plain", vary="origin", **sizes)
    preludes = [
        streamed(app, url_event(method=method, accept_encoding="gzip"), compression="gzip")[0]
        for method in ("GET", "HEAD")
    ]
    assert preludes[0] == preludes[1]
    assert preludes[0]["headers"] == {
        "content-type": "text/plain",
        "content-encoding": "gzip",
        "vary": "origin, accept-encoding",
    }


def test_a_malformed_head_request_has_an_answer_without_a_body() -> None:
    event = url_event(method="HEAD") | {"body": ["no text"]}
    prelude, body = streamed(answering(200, b""), event)
    assert (prelude["statusCode"], body) == (400, b"")
    assert "content-length" not in prelude["headers"]
