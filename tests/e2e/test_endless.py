"""What an application does without end, and without ever waiting: a deadline ends it all the same,
no more of it is kept than can be delivered, and the environment serves the next request."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from lamella.testing import events
from layer.pythons import Python
from tests.e2e.judges import LocalJudge
from tests.events import url_event

pytestmark = pytest.mark.anyio

Start = Callable[..., AbstractAsyncContextManager[LocalJudge]]

SOURCE = """
    import os

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            return await websocket(receive, send)
        path = scope["path"]
        part = {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
        if path != "/large":
            part["body"] = b""
        await send({"type": "http.response.start", "status": 200})
        if path in ("/large", "/empty"):
            while True:
                await send(part)
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
        while path == "/receives":
            await receive()
        while path == "/sends":
            try:
                await send(part)
            except Exception:
                pass

    async def websocket(receive, send):
        await receive()
        if os.environ["AFTER"] == "close":
            await send({"type": "websocket.close"})
        else:
            await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        while True:
            try:
                await send({"type": "websocket.http.response.body", "more_body": True})
            except Exception:
                pass
"""


@pytest.fixture
def start(opt: Path, python: Python, tmp_path: Path) -> Start:
    """Start the application of `SOURCE`, whose invocations have two seconds."""

    @asynccontextmanager
    async def start(mode: str, **environ: str) -> AsyncIterator[LocalJudge]:
        (tmp_path / "main.py").write_text(dedent(SOURCE))
        variables = {"ASGI_LIFESPAN": "off", "ASGI_INVOKE_MODE": mode, **environ}
        async with LocalJudge(opt, python.path, tmp_path, variables, timeout=2.0) as judge:
            yield judge

    return start


CUT = {"buffered": 504, "response_stream": 200}
"""What the client of an endless answer without a body gets: a stream has begun."""


@pytest.mark.parametrize("mode", CUT)
async def test_a_deadline_ends_what_never_waits(start: Start, mode: str) -> None:
    async with start(mode) as judge:
        statuses = {}
        for path in ("/receives", "/sends", "/empty", "/"):
            outcome = await judge.invoke(url_event(path))
            prelude = outcome.result if mode == "buffered" else outcome.streamed()[0]
            statuses[path] = prelude["statusCode"]
        assert statuses == {"/receives": 200, "/sends": 200, "/empty": CUT[mode], "/": 200}
        assert judge.log.count("INIT_START") == 1, "one process has served them all"


async def test_of_a_buffered_answer_no_more_is_kept_than_lambda_takes(start: Start) -> None:
    async with start("buffered") as judge:
        outcome = await judge.invoke(url_event("/large"))
        following = await judge.invoke(url_event("/"))
        used = [int(size) for size in re.findall(r"Max Memory Used: (\d+)", judge.log)]
    assert outcome.result["statusCode"] == 500
    assert outcome.result["body"] == "The response is too large to be delivered."
    assert re.search(r"The response is at least 63\d{5} bytes as JSON, and Lambda takes", judge.log)
    assert following.result["statusCode"] == 200
    assert used[0] < 200, "megabytes"
    assert judge.log.count("INIT_START") == 1


@pytest.mark.parametrize(("after", "status"), [("close", 403), ("start", 504)])
async def test_a_websocket_that_sends_what_nobody_takes(
    start: Start, after: str, status: int
) -> None:
    async with start("buffered", AFTER=after, ASGI_WEBSOCKET_STORE="memory:") as judge:
        outcome = await judge.invoke(events.websocket_connect())
        following = await judge.invoke(url_event("/"))
        assert judge.log.count("INIT_START") == 1
    assert outcome.result["statusCode"] == status
    assert following.result["statusCode"] == 200
