"""The end of a connection: told once, whoever learns of it first, and no error of anybody's."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

import lamella.websocket
from lamella.types import AnyASGIApp, Receive, Scope, Send
from lamella.websocket.hub import Delivery, Hub
from tests.websocket.driver import ID, Driver, driving

pytestmark = pytest.mark.anyio


class Room:
    """A Starlette endpoint that says who left, and in which event."""

    def __init__(self) -> None:
        self.left: list[tuple[str, str]] = []
        self.app = Starlette(routes=[WebSocketRoute("/", self.serve)])

    async def serve(self, websocket: Any) -> None:
        ours = websocket.scope["extensions"]["lamella.websocket"]
        await websocket.accept()
        await lamella.websocket.group_add("room", ours["connection_id"])
        try:
            while True:
                await self.take(websocket, await websocket.receive_text())
        except WebSocketDisconnect:
            self.left.append((ours["event"], ours["connection_id"]))

    async def take(self, websocket: Any, text: str) -> None:
        verb, _, rest = text.partition(" ")
        if verb == "kick":
            await lamella.websocket.close(rest)
        elif verb == "answer":
            await asyncio.sleep(float(rest or 0))
            await websocket.send_text("here")
        else:
            await lamella.websocket.group_send("room", text)


async def grow_old(drive: Driver, *connection_ids: str) -> None:
    """Let them have connected a while ago, so that a 410 means what it says."""
    for connection_id in connection_ids:
        row = await drive.hub.store.get(connection_id)
        assert row is not None
        await drive.hub.store.replace(connection_id, {**row.document, "kept_at": 1.0}, row.version)


async def members(drive: Driver) -> list[str]:
    pages = [page async for page in drive.hub.store.members("room")]
    return sorted(member.connection_id for page in pages for member in page)


async def test_a_group_that_finds_a_client_gone_leaves_telling_to_its_disconnect() -> None:
    room = Room()
    async with driving(room.app) as drive:
        for name in "ab":
            await drive.connect(name)
        await grow_old(drive, "a", "b")
        drive.gateway.gone.add("a")
        assert (await drive.message("hello", "b")).status == 200
        assert await members(drive) == ["b"]
        assert room.left == []
        assert (await drive.disconnect("a")).status == 200
        assert room.left == [("disconnect", "a")]
        assert await drive.kept("a") is None


async def test_a_client_that_another_one_closes_is_told_of_by_its_disconnect() -> None:
    room = Room()
    async with driving(room.app) as drive:
        for name in "ab":
            await drive.connect(name)
        await drive.message("kick a", "b")
        assert drive.closed("a")
        await drive.disconnect("a")
        assert room.left == [("disconnect", "a")]
        assert await members(drive) == ["b"]


@pytest.mark.parametrize("young", [True, False])
async def test_an_answer_that_finds_the_client_gone_tells_once(
    young: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamella.websocket.hub.SETTLING", 0.2)
    room = Room()
    async with driving(room.app) as drive:
        await drive.connect("a")
        if not young:
            await grow_old(drive, "a")
        drive.gateway.gone.add("a")
        assert (await drive.message("answer", "a")).status == 200
        assert await drive.kept("a") is None
        assert (await drive.disconnect("a")).status == 200
    assert room.left == [("message", "a")]


async def test_a_client_that_sends_and_leaves_is_told_of_once() -> None:
    room = Room()
    async with driving(room.app) as drive:
        await drive.connect("a")
        await grow_old(drive, "a")
        message = asyncio.ensure_future(drive.message("answer 0.2", "a"))
        await asyncio.sleep(0.05)
        drive.gateway.gone.add("a")
        await drive.disconnect("a")
        assert (await message).status == 200
    assert room.left == [("disconnect", "a")]


async def test_an_application_that_only_hears_messages_is_told_by_the_disconnect() -> None:
    """As consumers of Channels: an error from send() goes past them."""
    told = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        told.append(message["code"])

    async with driving(app) as drive:
        await drive.connect()
        await grow_old(drive, ID)
        drive.gateway.gone.add(ID)
        assert (await drive.message("hello")).status == 200
        assert told == []
        await drive.disconnect(code=4001)
        assert told == [4001]
        assert await drive.kept() is None


async def test_a_client_that_api_gateway_lets_in_slowly_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("hub", "handshake"):
        monkeypatch.setattr(f"lamella.websocket.{module}.SETTLING", 0.2)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async with driving(app) as drive:
        drive.gateway.gone.add(ID)
        await drive.connect()
        drive.gateway.gone.discard(ID)
        assert (await drive.message("hello")).status == 200
    assert drive.sent() == ["hello"]


async def test_a_greeting_that_waited_for_nobody_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the handler way the first message brings it: the $disconnect may be served beside."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        while (await receive())["type"] == "websocket.receive":
            pass

    async def post(*_: Any) -> Delivery:
        return Delivery.FORGOTTEN

    async with driving(app, at_once=False) as drive:
        await drive.connect()
        monkeypatch.setattr(Hub, "post", post)
        assert (await drive.message("hello")).status == 200


# What an application raises when its client has left


endless = FastAPI()


@endless.websocket("/")
async def talk(websocket: WebSocket) -> None:
    """As in docs/websockets.md and in many tutorials: nothing catches the disconnect."""
    await websocket.accept()
    while True:
        await websocket.send_text(f"you said {await websocket.receive_text()}")


async def test_a_disconnect_that_nobody_catches_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lamella")
    async with driving(endless, error_status="500-599") as drive:
        await drive.connect()
        reply = await drive.disconnect()
        assert reply.error is None
        assert reply.status == 200
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert "the client has left" in caplog.text


async def test_an_answer_to_a_client_that_left_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with driving(endless) as drive:
        await drive.connect()
        await grow_old(drive, ID)
        drive.gateway.gone.add(ID)
        assert (await drive.message("hello")).status == 200
    assert not caplog.records


@pytest.mark.parametrize("event", ["message", "disconnect"])
async def test_other_errors_are_errors(event: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        raise KeyError("user")

    async with driving(app) as drive:
        await drive.connect()
        reply = await (drive.message("x") if event == "message" else drive.disconnect())
        assert reply.status == 500
    assert "KeyError" in caplog.text


def grouped(kind: str) -> AnyASGIApp:
    """An application that answers from a task of a group."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def read() -> None:
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})

        if kind == "anyio":
            async with anyio.create_task_group() as group:
                group.start_soon(read)
        else:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(read())

    return app


@pytest.mark.parametrize("kind", ["anyio", "asyncio"])
async def test_in_a_task_group_errors_cost_what_they_cost_elsewhere(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lamella.websocket.management.PAUSES", (0.001,) * 4)
    async with driving(grouped(kind)) as drive:
        await drive.connect()
        await grow_old(drive, ID)
        drive.gateway.answers = [(429, b"{}")] * 5
        assert (await drive.message("one")).status == 500
        assert await drive.kept() is not None, "throttling costs the event, not the connection"
        assert not drive.closed()
        caplog.clear()
        drive.gateway.gone.add(ID)
        assert (await drive.message("two")).status == 200
    assert not caplog.records
