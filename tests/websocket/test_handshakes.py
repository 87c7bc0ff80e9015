"""Accepting, refusing and greeting, and the moments in which API Gateway lets a client in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lamella.websocket
from lamella.types import Receive, Scope, Send
from tests.websocket.driver import (
    ID,
    accepting,
    connect_event,
    driving,
)

pytestmark = pytest.mark.anyio


async def test_what_goes_out_before_the_loop_goes_out_once(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await lamella.websocket.group_add("room", ID)
        await lamella.websocket.group_send("room", "joined")
        await lamella.websocket.send(ID, "hello")
        while True:
            await receive()

    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("1")
        await drive.message("2")
    assert drive.sent() == ["joined", "hello"]


@pytest.mark.parametrize("raises", [True, False])
async def test_an_end_before_the_accept_closes_in_a_later_event_too(
    at_once: bool, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if scope["extensions"]["lamella.websocket"]["event"] == "message":
            if raises:
                raise ValueError("the database is down")
            return
        await send({"type": "websocket.accept"})
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert (await drive.message("x")).status == 500
        assert drive.closed()
    said = "the database is down" if raises else "returned without accepting"
    assert said in caplog.text


async def test_a_refusal_with_success_does_not_let_in(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 200, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    async with driving(app, at_once) as drive:
        assert (await drive.connect()).status == 403
    assert "with status 200, which would let the client in" in caplog.text


async def test_a_refusal_that_is_too_large_refuses_all_the_same(at_once: bool) -> None:
    from lamella.adapter import Adapter

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"x" * 7_000_000})

    def serve() -> Any:
        handler = Adapter(app, websocket_store="memory:", lifespan="off")
        try:
            return handler(connect_event(), None)
        finally:
            handler.close()

    assert (await asyncio.to_thread(serve))["statusCode"] == 401


@pytest.mark.parametrize("subprotocol", ["a\r\nSet-Cookie: x=1", "ü€", 5])
async def test_a_subprotocol_is_checked(
    at_once: bool, subprotocol: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": subprotocol})

    async with driving(app, at_once) as drive:
        answer = await drive.connect()
    assert answer.status == 500
    assert "subprotocol" in caplog.text or "sec-websocket-protocol" in caplog.text


async def test_the_subprotocol_is_answered_once(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"sec-websocket-protocol", b"b"), (b"x-a", b"1")]
        await send({"type": "websocket.accept", "subprotocol": "a", "headers": headers})
        await receive()

    async with driving(app, at_once) as drive:
        answer = await drive.connect()
    assert answer.result["headers"] == {"x-a": "1", "Sec-WebSocket-Protocol": "a"}


async def test_closing_itself_while_it_connects(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await lamella.websocket.close(ID)
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect()
        if not at_once:
            await drive.message("hello?")
        assert drive.closed()
        assert await drive.kept() is None


# API Gateway's first moments


async def test_a_close_right_after_the_accept_closes() -> None:
    async with driving(
        accepting({"type": "websocket.close", "code": 4001}, then_receive=False)
    ) as drive:
        drive.gateway.answers = [(410, b"")]
        await drive.connect()
        assert drive.closed()
        assert await drive.kept() is None


async def test_a_slow_store_does_not_cost_a_live_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lamella.websocket.handshake.SETTLING", 0.3)
    async with driving(accepting({"type": "websocket.send", "text": "hi"})) as drive:
        put = drive.hub.store.put

        async def slow_put(*arguments: Any) -> None:
            await asyncio.sleep(0.4)
            await put(*arguments)

        monkeypatch.setattr(drive.hub.store, "put", slow_put)
        drive.gateway.answers = [(410, b"")]
        await drive.connect()
        assert drive.sent() == ["hi"]
        assert await drive.kept() is not None


async def test_an_answer_that_is_still_on_its_way_does_not_cost_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Handler way: the answer leaves when the tasks that the application left have ended."""
    monkeypatch.setattr("lamella.websocket.hub.SETTLING", 0.1)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        tasks.append(asyncio.ensure_future(asyncio.sleep(0.4)))
        await receive()

    tasks: list[asyncio.Future[None]] = []
    async with driving(app, at_once=False) as drive:
        drive.gateway.gone.add(ID)  # it knows nothing of it before it has the answer
        connecting = asyncio.ensure_future(drive.connect())
        await asyncio.sleep(0.1)
        assert not connecting.done()
        assert not await lamella.websocket.send(ID, "too early")
        assert (await connecting).status == 200
        assert await drive.kept() is not None


async def test_a_client_that_is_gone_at_once_is_not_asked_for_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lamella.websocket.handshake.SETTLING", 0.5)
    async with driving(accepting({"type": "websocket.send", "text": "hi"})) as drive:
        drive.gateway.gone.add(ID)
        await drive.connect()
        assert len(drive.gateway.requests) < 8


async def test_who_asks_for_ever_after_the_end_is_cut_off_at_the_deadline() -> None:
    async with driving(accepting()) as drive:
        await drive.connect()
        drive.timeout = 0.6
        assert (await drive.disconnect()).status == 504
        assert await drive.kept() is None


async def test_a_handshake_that_its_environment_did_not_end_is_forgotten(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await lamella.websocket.group_add("all", ID)
        raise SystemExit(1)

    async with driving(app, at_once) as drive:
        with pytest.raises(SystemExit):
            await drive.serve(connect_event())
        assert await drive.kept() is None
        document = {"endpoint": drive.gateway.endpoint, "accepted": False, "kept_at": 1.0}
        await drive.hub.store.put("lost", {**document, "session": {}}, 2**33)
        await lamella.websocket.group_add("all", "lost")
        drive.gateway.gone.add("lost")
        assert await lamella.websocket.group_send("all", "x") == 0
        assert await drive.kept("lost") is None
