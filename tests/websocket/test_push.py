"""lamella.websocket: sending from anywhere in the application."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

import lamella.websocket
from lamella.errors import ApplicationError, ConnectionsError, StoreError
from lamella.testing import events
from lamella.types import Receive, Scope, Send
from lamella.websocket.store import Member
from tests.websocket.api_gateway import FORBIDDEN, api_gateway
from tests.websocket.driver import driving

pytestmark = pytest.mark.anyio


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """Joins the group "all" as it connects and passes on what it gets; HTTP sends, too."""
    if scope["type"] == "http":
        body = json.loads((await receive())["body"])
        done = await getattr(lamella.websocket, body.pop("call"))(**body)
        answer = json.dumps(done).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})
        return
    connection_id = scope["extensions"]["lamella.websocket"]["connection_id"]
    await receive()
    await lamella.websocket.group_add("all", connection_id)
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            await lamella.websocket.group_send("all", f"{connection_id} left")
            return
        await lamella.websocket.group_send("all", message["text"], exclude=[connection_id])


def call(name: str, **arguments: Any) -> Any:
    """The event of an HTTP request that calls a function of lamella.websocket."""
    return events.http_api(method="POST", path="/", json={"call": name, **arguments})


async def test_a_message_reaches_the_group(at_once: bool) -> None:
    async with driving(chat, at_once) as drive:
        for name in "abc":
            await drive.connect(name)
        await drive.message("hello", "a")
        assert [drive.sent(name) for name in "abc"] == [[], ["hello"], ["hello"]]
        await drive.disconnect("a")
        assert [drive.sent(name)[-1:] for name in "abc"] == [[], ["a left"], ["a left"]]


async def test_a_request_sends_to_a_connection_and_to_a_group() -> None:
    async with driving(chat) as drive:
        await drive.connect("a")
        await drive.connect("b")
        assert (await drive(call("send", connection_id="a", data="to a"))).result["body"] == "true"
        assert (await drive(call("group_send", group="all", data="to all"))).result["body"] == "2"
        assert (await drive(call("send", connection_id="x", data="?"))).result["body"] == "true"
        await drive(call("close", connection_id="b"))
        assert drive.closed("b")
        assert (await drive(call("group_send", group="all", data="more"))).result["body"] == "1"
    assert drive.sent("a") == ["to a", "to all", "more"]


async def test_the_setting_comes_before_the_endpoint_of_a_member() -> None:
    async with api_gateway() as former, driving(chat) as drive:
        member = Member("a", former.endpoint)
        await drive.hub.store.group_add("all", member, 2**33)
        assert await lamella.websocket.group_send("all", "hello") == 1
    assert drive.sent("a") == ["hello"]
    assert not former.requests


async def test_without_a_setting_the_store_tells_the_endpoint() -> None:
    async with driving(chat, websocket_endpoint="") as drive:
        await drive.hub.store.put(
            "a", {"endpoint": drive.gateway.endpoint, "kept_at": 1.0, "session": {}}, 2**33
        )
        assert await lamella.websocket.send("a", "hello")
        assert not await lamella.websocket.send("nobody", "hello")
        await lamella.websocket.close("nobody")
    assert drive.sent("a") == ["hello"]


async def test_the_dead_are_dropped_on_the_way() -> None:
    async with driving(chat) as drive:
        for name in "abc":
            await drive.connect(name)
            row = await drive.hub.store.get(name)
            assert row is not None
            await drive.hub.store.put(name, {**row.document, "kept_at": 1.0}, 2**33)
        drive.gateway.gone.add("b")
        assert await lamella.websocket.group_send("all", "hello") == 2
        members = [m.connection_id async for page in drive.hub.store.members("all") for m in page]
        assert sorted(members) == ["a", "c"]


async def test_who_is_about_to_be_let_in_elsewhere_is_not_dead() -> None:
    async with driving(chat) as drive:
        document = {"endpoint": drive.gateway.endpoint, "session": {}, "accepted": False}
        document["kept_at"] = time.time()
        await drive.hub.store.put("new", document, 2**33)
        await lamella.websocket.group_add("all", "new")
        drive.gateway.gone.add("new")
        assert await lamella.websocket.group_send("all", "hello") == 0
        drive.gateway.gone.discard("new")
        assert await lamella.websocket.group_send("all", "hello") == 1


async def test_thousands_of_members_are_served_a_few_at_a_time() -> None:
    async with driving(chat) as drive:
        for number in range(2000):
            await lamella.websocket.group_add("all", f"member {number}")
        assert await lamella.websocket.group_send("all", "hello") == 2000
        assert 1 < drive.gateway.most_open <= 32
    assert all(drive.sent(f"member {number}") == ["hello"] for number in range(2000))


async def test_one_refusal_does_not_cost_the_others_their_message() -> None:
    async with driving(chat) as drive:
        for name in "abc":
            await drive.connect(name)
        drive.gateway.answers = [FORBIDDEN]
        with pytest.raises(ConnectionsError, match="execute-api:ManageConnections"):
            await lamella.websocket.group_send("all", "hello")
        assert sum(len(drive.sent(name)) for name in "abc") == 2


async def test_a_member_that_left_gets_nothing() -> None:
    async with driving(chat) as drive:
        await drive.connect("a")
        await lamella.websocket.group_discard("all", "a")
        assert await lamella.websocket.group_send("all", "hello") == 0


async def test_a_refused_client_leaves_its_groups(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await lamella.websocket.group_add("all", "a")
        await send({"type": "websocket.close"})

    async with driving(app, at_once) as drive:
        assert (await drive.connect("a")).status == 403
        assert await drive.kept("a") is None
        assert [page async for page in drive.hub.store.members("all")] in ([], [[]])


async def test_what_is_sent_to_itself_while_it_connects_follows_the_answer(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await lamella.websocket.group_add("all", "a")
        assert await lamella.websocket.group_send("all", "one") == 1
        await send({"type": "websocket.accept"})
        assert await lamella.websocket.send("a", "two")
        await receive()
        await receive()

    async with driving(app, at_once) as drive:
        answer = await drive.connect("a")
        assert answer.sent_before == 0
        if not at_once:
            assert drive.sent("a") == []
            await drive.message("hello", "a")
            assert drive.sent("a")[:2] == ["one", "two"]
        else:
            assert drive.sent("a") == ["one", "two"]


async def test_a_message_that_cannot_be_delivered_is_refused() -> None:
    async with driving(chat):
        with pytest.raises(ApplicationError, match="A WebSocket message is a dict: send str or"):
            await lamella.websocket.send("a", {"a": 1})  # type: ignore[arg-type]  # the mistake


async def test_without_a_store_the_setting_is_named(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(chat, at_once, websocket_store="") as drive:
        assert (await drive.connect()).status == 500
        with pytest.raises(StoreError, match="ASGI_WEBSOCKET_STORE is not set"):
            await lamella.websocket.send("a", "hello")
    assert (
        "ASGI_WEBSOCKET_STORE is not set, and without it no WebSocket can be served" in caplog.text
    )


async def test_outside_of_a_function_the_environment_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with driving(chat) as drive:
        monkeypatch.setattr("lamella.served._served", None)
        monkeypatch.setenv("ASGI_WEBSOCKET_STORE", "memory:")
        monkeypatch.setenv("ASGI_WEBSOCKET_ENDPOINT", drive.gateway.endpoint)
        assert await lamella.websocket.send("a", "hello")
    assert drive.sent("a") == ["hello"]


async def test_leaving_a_group_lasts_although_connecting_joins_it(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await lamella.websocket.group_add("all", "a")
        await send({"type": "websocket.accept"})
        await receive()
        await lamella.websocket.group_discard("all", "a")
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect("a")
        assert await lamella.websocket.group_send("all", "one") == 1
        await drive.message("leave", "a")
        assert await lamella.websocket.group_send("all", "two") == 0
        await drive.disconnect("a")
        assert [page async for page in drive.hub.store.members("all")] in ([], [[]])


@pytest.mark.parametrize("way", ["itself", "connection", "group"])
async def test_the_session_is_kept_before_anything_leaves(at_once: bool, way: str) -> None:
    """A client's answer may be quicker than the end of the run that it answers."""
    kept = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["extensions"]["lamella.websocket"]["session"]
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(2):
            if not number:
                await receive()
            session["number"] = number
            if way == "itself":
                await send({"type": "websocket.send", "text": "x"})
            elif way == "connection":
                await lamella.websocket.send("a", "x")
            else:
                await lamella.websocket.group_send("nobody", "x")
            kept.append((await drive.kept("a"))["session"]["number"])
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect("a")
        await drive.message("go", "a")
    assert kept == [0, 1]
