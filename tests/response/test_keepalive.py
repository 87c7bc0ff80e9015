"""Comments in silent streams of server-sent events."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from lamella.response.keepalive import COMMENT, KeepAlive
from lamella.testing import AsyncLambdaTransport, RestApi
from lamella.types import Receive, Scope, Send
from tests.waiting import until

pytestmark = pytest.mark.anyio

EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Recorder:
    """A sink that keeps what it gets; `stuck` holds writers up, as a slow client does."""

    status = 200

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.room = asyncio.Event()
        self.room.set()
        self.gone = False

    def start(self, status: int, headers: object) -> None: ...

    async def write(self, data: bytes) -> None:
        if self.gone:
            raise OSError("the client is gone")
        self.parts.append(data)
        await self.room.wait()

    async def end(self, data: bytes) -> None:
        self.parts.append(data)

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None: ...

    def withdraw(self) -> None: ...


def opened(seconds: float = 0.01, headers: object = EVENTS) -> tuple[KeepAlive, Recorder]:
    recorder = Recorder()
    sink = KeepAlive(recorder, seconds)
    sink.start(200, headers)  # type: ignore[arg-type]  # as short as it can be
    return sink, recorder


async def test_a_silent_stream_gets_comments_until_it_ends() -> None:
    sink, recorder = opened()
    await until(lambda: recorder.parts.count(COMMENT) >= 2)
    await sink.write(b"data: 1\n\n")
    await until(lambda: recorder.parts[-1] == COMMENT)
    await sink.end(b"data: 2\n\n")
    sent = len(recorder.parts)
    await asyncio.sleep(0.05)
    assert len(recorder.parts) == sent
    assert [part for part in recorder.parts if part != COMMENT] == [b"data: 1\n\n", b"data: 2\n\n"]


@pytest.mark.parametrize("rest", [b"\n", b"\r\n", b"\r"])
async def test_never_inside_an_event(rest: bytes) -> None:
    """Whatever ends its lines, in whatever pieces it comes."""
    sink, recorder = opened()
    for part in (b"data: one", rest, b"data: t", b"wo", rest):
        await sink.write(part)
        await asyncio.sleep(0.03)
    assert COMMENT not in recorder.parts
    await sink.write(rest)
    await until(lambda: recorder.parts[-1] == COMMENT)
    await sink.end(b"")


async def test_a_line_that_ends_in_two_pieces_is_one() -> None:
    sink, recorder = opened()
    await sink.write(b"data: 1\r")
    await sink.write(b"\n")
    await asyncio.sleep(0.03)
    assert COMMENT not in recorder.parts
    await sink.end(b"")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"text/plain")],
        [],
        [*EVENTS, (b"content-encoding", b"gzip")],
        [*EVENTS, (b"content-length", b"40")],
    ],
)
async def test_nothing_else_is_touched(headers: object) -> None:
    sink, recorder = opened(headers=headers)
    await asyncio.sleep(0.03)
    await sink.end(b"")
    assert recorder.parts == [b""]


async def test_a_client_that_does_not_read_gets_one_comment() -> None:
    sink, recorder = opened()
    recorder.room.clear()
    await until(lambda: recorder.parts == [COMMENT])
    await asyncio.sleep(0.05)
    assert recorder.parts == [COMMENT]
    recorder.room.set()
    await sink.end(b"")


async def test_a_client_that_is_gone_is_the_applications_to_notice() -> None:
    sink, recorder = opened()
    recorder.gone = True
    await asyncio.sleep(0.05)
    assert recorder.parts == []
    with pytest.raises(OSError, match="gone"):
        await sink.write(b"data: 1\n\n")


@pytest.mark.parametrize("accept", ["identity", "gzip"])
async def test_the_setting_keeps_a_stream_of_a_rest_api_alive(accept: str) -> None:
    """Through the layer's own code, and a REST API that bears less silence than the application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": EVENTS}
        await send(start)
        await asyncio.sleep(1.0)
        await send({"type": "http.response.body", "body": b"data: 1\n\n"})

    door = RestApi(streaming=True, silence=0.5)
    settings: Any = {"invoke_mode": "response_stream", "compression": "gzip", "lifespan": "off"}
    transport = AsyncLambdaTransport(app, source=door, stream_keepalive=0.1, **settings)
    async with httpx.AsyncClient(transport=transport, base_url=transport.base_url) as http:
        response = await http.get("/", headers={"accept-encoding": accept})
    assert response.headers.get("content-encoding", "identity") == accept
    assert response.content.endswith(COMMENT + b"data: 1\n\n")
