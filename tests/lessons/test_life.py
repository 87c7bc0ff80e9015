"""What other adapters do once for each request, or on another loop, and Lamella once for all."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import lamella
from lamella.sources import registry
from lamella.types import Event, Receive, Request, Scope, Send
from tests.events import http_event, rest_event, url_event

CONTEXT = SimpleNamespace(aws_request_id="r-1", get_remaining_time_in_millis=lambda: 30_000)

Respond = Callable[[Scope], Awaitable[Any]]


@pytest.fixture
def adapt() -> Iterator[Callable[..., lamella.Adapter]]:
    """Makes adapters, and closes them after the test."""
    made: list[lamella.Adapter] = []

    def adapt(app: Any, **settings: Any) -> lamella.Adapter:
        made.append(lamella.Adapter(app, **settings))
        return made[-1]

    yield adapt
    for adapter in made:
        adapter.close()


def http(respond: Respond) -> Any:
    """An application without lifespan that answers with what `respond` gives, as JSON."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        await answer(send, await respond(scope))

    return app


async def answer(send: Send, content: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


class Sessions:
    """As the session manager of an MCP server: it can be run once, and is needed all the time."""

    def __init__(self) -> None:
        self.runs = 0
        self.running = False

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        self.runs += 1
        if self.runs > 1:
            raise RuntimeError("run() can only be called once per instance.")
        self.running = True
        yield
        self.running = False


def test_D3_a_manager_that_runs_once_serves_every_invocation(adapt: Any) -> None:
    sessions = Sessions()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, sessions.running)
            return
        await receive()
        async with sessions.run():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    handler = adapt(app)
    assert [handler(url_event(), CONTEXT)["body"] for _ in range(2)] == ["true", "true"]
    handler.close()
    assert (sessions.runs, sessions.running) == (1, False)


def test_D4_what_one_request_made_for_its_loop_works_in_the_next(adapt: Any) -> None:
    """A queue and a lock belong to the loop they first waited on, as connections of clients do."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    lock = asyncio.Lock()

    async def respond(scope: Scope) -> Any:
        asyncio.get_running_loop().call_later(0.01, queue.put_nowait, scope["path"])
        holder = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        async with lock:  # taken: this waits
            await holder
            return await queue.get()

    async def hold() -> None:
        async with lock:
            await asyncio.sleep(0.01)

    handler = adapt(http(respond))
    results = [handler(url_event(path), CONTEXT)["body"] for path in ("/1", "/2")]
    assert results == ['"/1"', '"/2"']


def test_D18_the_state_is_alive_while_anything_of_a_request_runs(adapt: Any) -> None:
    seen: list[str] = []

    class Database:
        open = True

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            database = scope["state"]["database"] = Database()
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            seen.append("shutdown")
            database.open = False
            await send({"type": "lifespan.shutdown.complete"})
            return
        database = scope["state"]["database"]
        task = asyncio.ensure_future(later(database))
        await answer(send, database.open)
        seen.append(f"background: {database.open}")
        assert not task.done()

    async def later(database: Database) -> None:
        await asyncio.sleep(0.02)
        seen.append(f"task: {database.open}")

    handler = adapt(app)
    for _ in range(2):
        assert handler(url_event(), CONTEXT)["body"] == "true"
    handler.close()
    assert seen == ["background: True", "task: True"] * 2 + ["shutdown"]


@pytest.mark.parametrize("raises", [True, False], ids=["raises", "says-failed"])
def test_E32_a_failing_shutdown_takes_nothing_back(
    adapt: Any, caplog: pytest.LogCaptureFixture, raises: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send, "kept")
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if raises:
            raise RuntimeError("no shutdown")
        await send({"type": "lifespan.shutdown.failed", "message": "no shutdown"})

    handler = adapt(app)
    result = handler(url_event(), CONTEXT)
    handler.close()
    assert (result["statusCode"], result["body"]) == (200, '"kept"')
    assert "no shutdown" in caplog.text


def test_E41_one_quiet_line_where_there_is_no_lifespan(
    adapt: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lamella")

    async def respond(scope: Scope) -> Any:
        return "ok"

    handler = adapt(http(respond), log_access="off")
    for _ in range(3):
        assert handler(url_event(), CONTEXT)["statusCode"] == 200
    assert [(r.levelname, r.exc_info) for r in caplog.records] == [("INFO", None)]
    assert "does not support lifespan" in caplog.text


def test_D31_an_event_is_decoded_once(adapt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = registry.load(registry.find(http_event()))
    decode, decoded = codec.decode, []

    def counting(event: Event) -> Request:
        decoded.append(event)
        return decode(event)

    monkeypatch.setattr(codec, "decode", counting)
    scopes: list[Scope] = []

    async def respond(scope: Scope) -> Any:
        scopes.append(scope)

    event = http_event()
    adapt(http(respond), base_path="/api", forwarded_host="x-forwarded-host")(event, CONTEXT)
    assert (len(decoded), decoded[0] is event, len(scopes)) == (1, True, 1)


@pytest.mark.parametrize(("mode", "path"), [("mount", "/prod/a b"), ("strip", "/a b")])
def test_D10_raw_path_is_bytes_and_goes_with_the_path(adapt: Any, mode: str, path: str) -> None:
    """Sanic routes by raw_path and knows no root_path: it needs the mode "strip"."""

    async def respond(scope: Scope) -> Any:
        return [scope["path"], scope["raw_path"].decode(), scope["root_path"]]

    result = adapt(http(respond), base_path_mode=mode)(rest_event("/a%20b"), CONTEXT)
    root = "" if mode == "strip" else "/prod"
    assert json.loads(result["body"]) == [path, path.replace(" ", "%20"), root]


def test_D28_errors_go_to_logging_with_their_traceback_and_nowhere_else(
    adapt: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Printed, they would not be JSON under AWS_LAMBDA_LOG_FORMAT=JSON."""

    async def respond(scope: Scope) -> Any:
        raise ValueError("boom")

    assert adapt(http(respond), lifespan="off")(url_event(), CONTEXT)["statusCode"] == 500
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("lamella", "ERROR")
    assert record.exc_info
    assert str(record.exc_info[1]) == "boom"
    assert capfd.readouterr() == ("", "")
