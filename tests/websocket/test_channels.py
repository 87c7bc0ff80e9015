"""Django Channels' consumers over Lamella's channel layer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.generic.http import AsyncHttpConsumer  # type: ignore[import-untyped]  # it has no types
from channels.generic.websocket import (  # type: ignore[import-untyped]  # it has no types
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    WebsocketConsumer,
)
from channels.layers import (  # type: ignore[import-untyped]  # it has no types
    channel_layers,
    get_channel_layer,
)
from channels.routing import (  # type: ignore[import-untyped]  # it has no types
    ProtocolTypeRouter,
    URLRouter,
)
from django.conf import settings  # type: ignore[import-untyped]  # it has no types
from django.test import override_settings  # type: ignore[import-untyped]  # it has no types
from django.urls import path  # type: ignore[import-untyped]  # it has no types

from lamella.channels import PREFIX, channel_of, connection_of
from lamella.errors import WebSocketError
from tests.websocket.driver import driving, message_event

pytestmark = pytest.mark.anyio

BACKEND = "lamella.channels.ConnectionsChannelLayer"

if not settings.configured:
    settings.configure()


@pytest.fixture(autouse=True)
def layer() -> Iterator[Any]:
    """Lamella's layer as the default one, as the documentation configures it."""
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": BACKEND}}):
        channel_layers.backends.clear()
        yield get_channel_layer()
        channel_layers.backends.clear()


class SyncChat(WebsocketConsumer):  # type: ignore[misc]  # it has no types
    """The consumer of Channels' tutorial, part 2, in its own shape."""

    def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room_name"]
        async_to_sync(self.channel_layer.group_add)(self.room, self.channel_name)
        self.accept()

    def disconnect(self, close_code: int) -> None:
        async_to_sync(self.channel_layer.group_discard)(self.room, self.channel_name)

    def receive(self, text_data: str) -> None:
        message = {"type": "chat.message", "message": json.loads(text_data)["message"]}
        async_to_sync(self.channel_layer.group_send)(self.room, message)

    def chat_message(self, event: dict[str, Any]) -> None:
        self.send(text_data=json.dumps({"message": event["message"]}))


class AsyncChat(AsyncWebsocketConsumer):  # type: ignore[misc]  # it has no types
    """The same of part 3, asynchronous."""

    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room_name"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive(self, text_data: str) -> None:
        message = {"type": "chat.message", "message": json.loads(text_data)["message"]}
        await self.channel_layer.group_send(self.room, message)

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps({"message": event["message"]}))


def routed(consumer: Any, http: Any = None) -> Any:
    websocket = URLRouter([path("ws/chat/<str:room_name>/", consumer.as_asgi())])
    return ProtocolTypeRouter({"websocket": websocket, **({"http": http} if http else {})})


@pytest.mark.parametrize("consumer", [SyncChat, AsyncChat])
async def test_the_tutorials_chat(at_once: bool, consumer: Any) -> None:
    async with driving(routed(consumer), at_once, websocket_path="query:path") as drive:
        for name, room in (("a=", "lobby"), ("b=", "lobby"), ("c=", "attic")):
            answer = await drive.connect(name, query={"path": f"/ws/chat/{room}/"})
            assert answer.status == 200
        assert (await drive.message('{"message": "hello"}', "a=")).status == 200
        assert drive.sent("a=") == drive.sent("b=") == ['{"message": "hello"}']
        await drive.disconnect("a=")
        await drive.message('{"message": "still here"}', "b=")
        assert len(drive.sent("a=")) == 1
        assert drive.sent("b=")[1:] == ['{"message": "still here"}']
        assert drive.sent("c=") == []


async def test_a_member_that_is_gone_leaves_the_group(at_once: bool) -> None:
    async with driving(routed(AsyncChat), at_once, websocket_path="/ws/chat/x/") as drive:
        for name in ("a", "b"):
            await drive.connect(name)
        row = await drive.hub.store.get("b")
        assert row is not None
        await drive.hub.store.put("b", {**row.document, "kept_at": 1.0}, 2**33)
        drive.gateway.gone.add("b")
        assert (await drive.message('{"message": "hello"}', "a")).status == 200
        assert drive.sent("a") == ['{"message": "hello"}']
        groups = drive.hub.store.members(f"{PREFIX}x")
        assert [member.connection_id async for page in groups for member in page] == ["a"]
        await drive.disconnect("b")
        assert await drive.kept("b") is None


async def test_a_member_that_is_being_let_in_stays_in_the_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lamella.websocket.hub.SETTLING", 0.1)
    async with driving(routed(AsyncChat), websocket_path="/ws/chat/x/") as drive:
        for name in ("a", "b"):
            await drive.connect(name)
        drive.gateway.gone.add("b")
        assert (await drive.message('{"message": "too early"}', "a")).status == 200
        drive.gateway.gone.discard("b")
        await drive.message('{"message": "hello"}', "a")
        assert drive.sent("b") == ['{"message": "hello"}']


async def test_one_members_error_does_not_cost_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Picky(AsyncChat):
        async def chat_message(self, event: dict[str, Any]) -> None:
            if self.channel_name == channel_of("b"):
                raise ValueError("b will not have it")
            await super().chat_message(event)

    async with driving(routed(Picky), websocket_path="/ws/chat/x/") as drive:
        for name in "abc":
            await drive.connect(name)
        assert (await drive.message('{"message": "hello"}', "a")).status == 200
        assert [len(drive.sent(name)) for name in "abc"] == [1, 0, 1]
    assert "b will not have it" in caplog.text


async def test_a_message_to_one_channel(layer: Any) -> None:
    async with driving(routed(AsyncChat), websocket_path="/ws/chat/x/") as drive:
        await drive.connect("a")
        await layer.send(channel_of("a"), {"type": "chat.message", "message": "just you"})
        assert drive.sent("a") == ['{"message": "just you"}']
        with pytest.raises(WebSocketError, match="The channel 'worker' is no WebSocket connection"):
            await layer.send("worker", {"type": "x"})


async def test_a_request_sends_to_a_group(layer: Any) -> None:
    class Notify(AsyncHttpConsumer):  # type: ignore[misc]  # it has no types
        async def handle(self, body: bytes) -> None:
            await self.channel_layer.group_send("x", {"type": "chat.message", "message": "news"})
            await self.send_response(200, b"sent")

    from lamella.testing import events

    app = routed(AsyncChat, Notify.as_asgi())
    async with driving(app, websocket_path="/ws/chat/x/") as drive:
        await drive.connect("a")
        answer = await drive(events.http_api(path="/notify"))
        assert answer.result["body"] == "sent"
        assert drive.sent("a") == ['{"message": "news"}']


async def test_a_channel_is_the_same_in_every_event_and_session_is_kept() -> None:
    names: list[str] = []

    class Counting(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # it has no types
        async def receive_json(self, content: Any) -> None:
            names.append(self.channel_name)
            session = self.scope["extensions"]["lamella.websocket"]["session"]
            session["count"] = session.get("count", 0) + 1
            await self.send_json(session)

    async with driving(routed(Counting), websocket_path="/ws/chat/x/") as drive:
        await drive.connect("a")
        await drive.message("1", "a")
        await drive.message("2", "a")
        assert drive.sent("a") == ['{"count": 1}', '{"count": 2}']
    assert names == [channel_of("a")] * 2


async def test_a_consumer_that_refuses(at_once: bool) -> None:
    class Closed(AsyncWebsocketConsumer):  # type: ignore[misc]  # it has no types
        async def connect(self) -> None:
            await self.close()

    async with driving(routed(Closed), at_once, websocket_path="/ws/chat/x/") as drive:
        assert (await drive.connect("a")).status == 403


@pytest.mark.parametrize("connection_id", ["R1kmxc2VNjMCFIA=", "a/b+c==", "ü#"])
def test_a_channels_name_says_its_connection(connection_id: str, layer: Any) -> None:
    channel = channel_of(connection_id)
    assert layer.require_valid_channel_name(channel)
    assert connection_of(channel) == connection_id


async def test_what_a_consumer_sends_as_it_connects_is_sent_once(at_once: bool) -> None:
    class Joins(AsyncChat):
        async def connect(self) -> None:
            await super().connect()
            message = {"type": "chat.message", "message": f"{self.channel_name[-2:]} joined"}
            await self.channel_layer.group_send(self.room, message)

    async with driving(routed(Joins), at_once, websocket_path="/ws/chat/x/") as drive:
        await drive.connect("a")
        await drive.connect("b")
        await drive.message('{"message": "hello"}', "a")
        assert len(drive.sent("a")) == 3
        assert len(drive.sent("b")) == (2 if at_once else 1)


async def test_a_deadline_ends_the_members_runs_too(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    served: list[int] = []
    after: list[int] = []

    class Slow(AsyncChat):
        async def receive(self, text_data: str) -> None:
            await super().receive(text_data)
            after.append(1)

        async def chat_message(self, event: dict[str, Any]) -> None:
            served.append(1)
            await asyncio.sleep(60)

    async with driving(routed(Slow), at_once, websocket_path="/ws/chat/x/") as drive:
        for number in range(80):
            await drive.connect(str(number))
        drive.timeout = 0.4
        assert (await drive.message('{"message": "x"}', "0")).status == 504
    assert len(served) <= 32
    assert not after


async def test_an_exit_in_a_members_run_ends_the_environment(at_once: bool) -> None:
    class Exits(AsyncChat):
        async def chat_message(self, event: dict[str, Any]) -> None:
            raise SystemExit(3)

    async with driving(routed(Exits), at_once, websocket_path="/ws/chat/x/") as drive:
        await drive.connect("a")
        with pytest.raises(SystemExit):
            await drive.serve(message_event('{"message": "x"}', "a"))


async def test_one_members_session_does_not_cost_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unkept(AsyncChat):
        async def chat_message(self, event: dict[str, Any]) -> None:
            if self.channel_name == channel_of("a"):
                self.scope["extensions"]["lamella.websocket"]["session"]["x"] = object()
            else:
                await super().chat_message(event)

    async with driving(routed(Unkept), websocket_path="/ws/chat/x/") as drive:
        for name in "abc":
            await drive.connect(name)
        assert (await drive.message('{"message": "hello"}', "b")).status == 200
        assert [len(drive.sent(name)) for name in "abc"] == [0, 1, 1]
    assert "session cannot be kept" in caplog.text


@pytest.mark.parametrize("channel", ["websocket.a", "websocket.", "websocket._-_-", "specific!x"])
def test_other_channels_are_no_connections(channel: str) -> None:
    with pytest.raises(WebSocketError, match="is no WebSocket connection"):
        connection_of(channel)
