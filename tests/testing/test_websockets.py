"""WebSocketServer: an endpoint behind a played API Gateway, in the test's own process."""

from __future__ import annotations

import asyncio
import os
import threading

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync
from websockets.typing import Subprotocol

import lamella.websocket
from lamella.errors import LifespanError, SettingError
from lamella.testing import WebSocketApi, WebSocketServer
from lamella.types import Receive, Scope, Send
from tests.waiting import until

pytestmark = pytest.mark.anyio

LIMIT = 10.0


class Chat:
    """A room for all, with a greeting; over HTTP, a message to the room. Keeps what happened."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.threads: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.threads.add(threading.get_ident())
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await lamella.websocket.group_send("room", "from afar")
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})
        elif scope["path"] == "/ws":
            await self._talk(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _live(self, receive: Receive, send: Send) -> None:
        for phase in ("startup", "shutdown"):
            await receive()
            self.happened.append(phase)
            await send({"type": f"lifespan.{phase}.complete"})

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["extensions"]["lamella.websocket"]
        await receive()
        chosen = next(iter(scope["subprotocols"]), None)
        await send({"type": "websocket.accept", "subprotocol": chosen})
        await lamella.websocket.group_add("room", ours["connection_id"])
        await send({"type": "websocket.send", "text": "welcome"})
        while (message := await receive())["type"] == "websocket.receive":
            count = ours["session"]["count"] = ours["session"].get("count", 0) + 1
            route = ours["route_key"]
            if message["text"] == "fail":
                raise RuntimeError("on purpose")
            await send({"type": "websocket.send", "text": f"{route} {count} {message['text']}"})
        self.happened.append(f"left {message['code']}")


async def test_a_connection_from_its_greeting_to_its_end() -> None:
    app = Chat()
    async with (
        WebSocketServer(app, websocket_path="/ws") as server,
        connect(server.url, subprotocols=[Subprotocol("chat")], open_timeout=LIMIT) as client,
    ):
        assert client.subprotocol == "chat"
        assert await client.recv() == "welcome"
        for number in (1, 2):
            await client.send("hello")
            assert await client.recv() == f"$default {number} hello"
        await client.close(4000)
    assert app.happened == ["startup", "left 4000", "shutdown"]


async def test_the_application_runs_on_the_test_s_own_loop() -> None:
    app = Chat()
    async with WebSocketServer(app, websocket_path="/ws") as server, connect(server.url) as client:
        assert await client.recv() == "welcome"
    assert app.threads == {threading.get_ident()}


def test_without_a_loop_it_runs_in_a_thread() -> None:
    app = Chat()
    with (
        WebSocketServer(app, websocket_path="/ws") as server,
        connect_sync(server.url) as client,
    ):
        assert client.recv(LIMIT) == "welcome"
        client.send("hello")
        assert client.recv(LIMIT) == "$default 1 hello"
    assert app.happened[0] == "startup"
    assert app.happened[-1] == "shutdown"
    assert threading.get_ident() not in app.threads
    assert not [each for each in threading.enumerate() if each.name == "lamella-testing"]


async def test_plain_requests_come_as_from_an_http_api_and_reach_the_clients() -> None:
    async with (
        WebSocketServer(Chat(), websocket_path="/ws") as server,
        connect(server.url) as one,
        connect(server.url) as two,
    ):
        for client in (one, two):
            assert await client.recv() == "welcome"
        async with httpx.AsyncClient(base_url=server.base_url) as http:
            assert (await http.post("/notify")).status_code == 204
        assert [await one.recv(), await two.recv()] == ["from afar", "from afar"]


async def test_routes_and_paths() -> None:
    api = WebSocketApi(stage="dev", routes=("join",))
    async with WebSocketServer(Chat(), api=api, websocket_path="query:path") as server:
        assert server.url.endswith("/dev")
        async with connect(f"{server.url}?path=/ws") as client:
            assert await client.recv() == "welcome"
            await client.send('{"action": "join"}')
            assert await client.recv() == 'join 1 {"action": "join"}'
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}?path=/elsewhere")
        assert refused.value.response.status_code == 403


async def test_the_path_in_a_header_is_the_path_of_the_url() -> None:
    async with (
        WebSocketServer(Chat(), websocket_path="header:x-path") as server,
        connect(f"{server.url}/ws") as client,
    ):
        assert await client.recv() == "welcome"


async def test_an_error_closes_the_connection_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        WebSocketServer(Chat(), websocket_path="/ws") as server,
        connect(server.url) as one,
        connect(server.url) as two,
    ):
        for client in (one, two):
            assert await client.recv() == "welcome"
        await one.send("fail")
        with pytest.raises(ConnectionClosed):
            await one.recv()
        await two.send("hello")
        assert await two.recv() == "$default 1 hello"
    assert "on purpose" in caplog.text


async def test_messages_run_at_the_same_time() -> None:
    """As in environments of their own: one that waits for another one's client may do so."""
    arrived: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        arrived.append(scope)
        await until(lambda: len(arrived) >= 2)
        await send({"type": "websocket.send", "text": "met"})
        await receive()

    async with (
        WebSocketServer(app, websocket_path="/") as server,
        connect(server.url) as one,
        connect(server.url) as two,
    ):
        await one.send("x")
        await two.send("x")
        assert [await one.recv(), await two.recv()] == ["met", "met"]


async def test_clients_that_are_left_are_closed_at_the_end() -> None:
    app = Chat()
    async with WebSocketServer(app, websocket_path="/ws") as server:
        client = await connect(server.url)
        assert await client.recv() == "welcome"
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert app.happened == ["startup", "left 1001", "shutdown"]


async def test_one_server_can_be_entered_again() -> None:
    app = Chat()
    server = WebSocketServer(app, websocket_path="/ws")
    for _ in range(2):
        async with server, connect(server.url) as client:
            assert await client.recv() == "welcome"
    assert app.happened.count("startup") == app.happened.count("shutdown") == 2


async def test_credentials_are_there_only_while_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half of a pair")
    before = dict(os.environ)
    async with WebSocketServer(Chat(), websocket_path="/ws"):
        assert os.environ["AWS_ACCESS_KEY_ID"] == "local"
    assert dict(os.environ) == before


@pytest.mark.parametrize("region", ["AWS_REGION", "AWS_DEFAULT_REGION"])
async def test_credentials_of_the_test_s_own_are_kept(
    monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(region, "eu-north-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "also testing")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    async with WebSocketServer(Chat(), websocket_path="/ws") as server:
        async with connect(server.url) as client:
            assert await client.recv() == "welcome"
        assert os.environ["AWS_ACCESS_KEY_ID"] == "testing"


async def test_credentials_may_change_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """As moto's mock_aws() does."""
    async with WebSocketServer(Chat(), websocket_path="/ws") as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FOOBARKEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "FOOBARSECRET")
        async with connect(server.url) as client:
            assert await client.recv() == "welcome"


async def test_credentials_stay_until_the_last_server_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    first = WebSocketServer(Chat(), websocket_path="/ws")
    second = WebSocketServer(Chat(), websocket_path="/ws")
    await first.__aenter__()
    async with second:
        await first.__aexit__(None, None, None)
        async with connect(second.url) as client:
            assert await client.recv() == "welcome"
    assert "AWS_ACCESS_KEY_ID" not in os.environ


def test_what_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingError, match="websocket_bytes"):
        WebSocketServer(Chat(), websocket_bytes="maybe")
    with pytest.raises(RuntimeError, match="enter it first"):
        _ = WebSocketServer(Chat()).url


async def test_a_failed_startup_is_raised_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanError, match="no database"):
        async with WebSocketServer(app, lifespan="on"):
            pytest.fail("it started")
    assert "AWS_ACCESS_KEY_ID" not in os.environ
    with pytest.raises(LifespanError, match="no database"), WebSocketServer(app, lifespan="on"):
        pytest.fail("it started")
    assert not [each for each in threading.enumerate() if each.name == "lamella-testing"]


def test_an_endpoint_that_answers_and_closes_may_do_so_after_the_test(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left = threading.Event()
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan")
        await receive()
        await send({"type": "websocket.accept"})
        if (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "bye"})
            await asyncio.to_thread(left.wait)
            await asyncio.sleep(0.2)
            await send({"type": "websocket.close"})
            ended.append("closed")

    with WebSocketServer(app) as server, connect_sync(server.url) as client:
        client.send("hello")
        assert client.recv() == "bye"
        left.set()
    assert ended == ["closed"]
    assert "cannot be reached" not in caplog.text
