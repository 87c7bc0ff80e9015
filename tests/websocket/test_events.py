"""$connect, messages and $disconnect: events in, results and sent messages out."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import anyio
import pytest

from lamella import websocket
from lamella.types import Message, Receive, Scope, Send
from tests.websocket.driver import (
    ID,
    Driver,
    connect_event,
    driving,
    message_event,
    read_ahead,
)

pytestmark = pytest.mark.anyio


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Greets, answers every message, and says where it was when it ended."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": f"echo {message['text']}"})


class Recorder:
    """Accepts and records: scopes, messages, and how each run ended."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.messages: list[Message] = []
        self.ends: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        self.scopes.append(scope)
        try:
            self.messages.append(await receive())
            await send({"type": "websocket.accept"})
            while self.messages[-1]["type"] != "websocket.disconnect":
                self.messages.append(await receive())
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise
        self.ends.append("returned")


# $connect


async def test_an_accepted_client_gets_in(at_once: bool) -> None:
    async with driving(echo, at_once) as drive:
        answer = await drive.connect()
    assert answer.result == {
        "statusCode": 200,
        "headers": {},
    }


async def test_the_chosen_subprotocol_is_answered(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        chosen = scope["subprotocols"][1]
        headers = [(b"x-served-by", b"lamella")]
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})
        await receive()

    async with driving(app, at_once) as drive:
        answer = await drive.connect(Sec_WebSocket_Protocol="soap, wamp , mqtt")
    assert answer.result["headers"] == {
        "x-served-by": "lamella",
        "Sec-WebSocket-Protocol": "wamp",
    }


async def test_a_close_before_the_accept_is_a_403(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4001})

    async with driving(app, at_once) as drive:
        answer = await drive.connect()
        assert answer.status == 403
        assert (await drive.message("hello")).status == 410  # nothing was kept


async def test_a_response_refuses_with_its_status_and_body(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert "websocket.http.response" in scope["extensions"]
        await receive()
        headers = [(b"www-authenticate", b"Bearer")]
        start = {"type": "websocket.http.response.start", "status": 401, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you?"})

    async with driving(app, at_once) as drive:
        answer = await drive.connect()
    assert answer.status == 401
    assert answer.result["body"] == "who are you?"
    assert answer.result["headers"]["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("raises", "said"),
    [
        (True, "ValueError: no"),
        (False, "The application returned without accepting the WebSocket or refusing it."),
    ],
)
async def test_without_a_verdict_the_handshake_fails(
    at_once: bool, raises: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if raises:
            raise ValueError("no")

    async with driving(app, at_once) as drive:
        answer = await drive.connect()
    assert answer.status == 500
    assert said in caplog.text
    assert "no" not in answer.result["body"]


async def test_the_scope_is_the_handshakes_in_every_event(at_once: bool) -> None:
    app = Recorder()
    async with driving(app, at_once, websocket_path="/chat") as drive:
        await drive.connect(query={"token": "a b"}, Cookie="x=1", Sec_WebSocket_Protocol="wamp")
        await drive.message("hello")
        await drive.disconnect()
    for scope in app.scopes:
        assert scope["type"] == "websocket"
        assert scope["path"] == "/chat"
        assert scope["raw_path"] == b"/chat"
        assert scope["query_string"] == b"token=a%20b"
        assert scope["scheme"] == "wss"
        assert scope["client"] == ("192.0.2.7", 0)
        assert scope["server"] == ("abc.execute-api.eu-west-1.amazonaws.com", 443)
        assert (b"cookie", b"x=1") in scope["headers"]
        assert scope["subprotocols"] == ["wamp"]
        assert scope["http_version"] == "1.1"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert scope["aws.event"]["requestContext"]["connectionId"] == ID
    ours = [scope["extensions"]["lamella.websocket"] for scope in app.scopes]
    assert [each["connection_id"] for each in ours] == [ID] * 3
    assert [each["event"] for each in ours] == ["connect", "message", "disconnect"]
    assert [each["route_key"] for each in ours] == ["$connect", "$default", "$disconnect"]


async def test_the_authorizers_word_is_kept() -> None:
    app = Recorder()
    event = connect_event()
    event["requestContext"]["authorizer"] = {"principalId": "me"}
    async with driving(app) as drive:
        await drive(event)
        await drive.message("hello")
    for scope in app.scopes:
        assert scope["extensions"]["lamella.websocket"]["authorizer"] == {"principalId": "me"}


@pytest.mark.parametrize(
    ("setting", "event", "path", "raw_path"),
    [
        ("/", connect_event(), "/", b"/"),
        ("/ws", connect_event(), "/ws", b"/ws"),
        ("query:path", connect_event(query={"path": "/a b"}), "/a b", b"/a%20b"),
        ("query:path", connect_event(query={"path": "ws"}), "/ws", b"/ws"),
        ("query:path", connect_event(), "/", b"/"),
        ("header:X-Path", connect_event(x_path="/a%20b"), "/a b", b"/a%20b"),
        ("header:x-path", connect_event(), "/", b"/"),
    ],
)
async def test_where_the_path_is(setting: str, event: Any, path: str, raw_path: bytes) -> None:
    app = Recorder()
    async with driving(app, websocket_path=setting) as drive:
        await drive(event)
    assert (app.scopes[0]["path"], app.scopes[0]["raw_path"]) == (path, raw_path)


async def test_the_base_path_is_the_same_rule() -> None:
    app = Recorder()
    async with driving(app, websocket_path="/api/ws", base_path="/api") as drive:
        await drive.connect()
        await drive.message("hello")
    assert [(s["path"], s["root_path"]) for s in app.scopes] == [("/api/ws", "/api")] * 2


# messages


async def test_a_message_is_answered(at_once: bool) -> None:
    async with driving(echo, at_once) as drive:
        await drive.connect()
        answer = await drive.message("one")
        await drive.message("two")
    assert answer.status == 200
    assert drive.sent() == ["welcome", "echo one", "echo two"]


async def test_the_greeting_follows_the_answer_to_connect() -> None:
    async with driving(echo) as drive:
        answer = await drive.connect()
        assert drive.sent() == ["welcome"]
    assert answer.sent_before == 0


async def test_the_greeting_waits_for_the_first_message_on_the_handler_way() -> None:
    async with driving(echo, at_once=False) as drive:
        await drive.connect()
        assert drive.sent() == []
        await drive.message("one")
    assert drive.sent() == ["welcome", "echo one"]


async def test_a_greeting_that_comes_too_early_is_tried_again() -> None:
    async with driving(echo) as drive:
        drive.gateway.answers = [(410, b""), (410, b"")]
        await drive.connect()
        assert drive.sent() == ["welcome"]
        assert (await drive.message("one")).status == 200


async def test_a_run_ends_by_cancellation_and_never_by_a_false_disconnect(at_once: bool) -> None:
    app = Recorder()
    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("one")
        await drive.message("two")
    assert app.ends == ["CancelledError"] * 3
    assert [m.get("text") for m in app.messages if m["type"] == "websocket.receive"] == [
        "one",
        "two",
    ]
    assert not [m for m in app.messages if m["type"] == "websocket.disconnect"]
    assert not drive.closed()


async def test_a_custom_route_is_a_message(at_once: bool) -> None:
    app = Recorder()
    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive(message_event('{"action": "join"}', route="join"))
    assert app.messages[-1]["text"] == '{"action": "join"}'
    assert app.scopes[-1]["extensions"]["lamella.websocket"]["route_key"] == "join"


async def test_a_binary_message_comes_as_bytes() -> None:
    app = Recorder()
    event = {**message_event("AAH/"), "isBase64Encoded": True}
    async with driving(app) as drive:
        await drive.connect()
        await drive(event)
    assert app.messages[-1] == {"type": "websocket.receive", "bytes": b"\0\1\xff", "text": None}


async def test_an_application_that_returns_closes_the_connection(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert not drive.closed()
        assert (await drive.message("one")).status == 200
        assert drive.closed()
        assert (await drive.disconnect()).status == 200


async def test_an_application_that_closes_in_its_greeting_closes_after_it(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "we are closed"})
        await send({"type": "websocket.close", "code": 1000})

    async with driving(app, at_once) as drive:
        assert (await drive.connect()).status == 200
        if not at_once:
            await drive.message("hello?")
    assert drive.sent() == ["we are closed"]
    assert drive.closed()


async def test_an_error_closes_the_connection(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise ValueError((await receive())["text"])

    async with driving(app, at_once) as drive:
        await drive.connect()
        answer = await drive.message("broken")
        assert drive.closed()
    assert answer.status == 500
    assert "ValueError: broken" in caplog.text


async def test_a_hanging_application_is_cancelled_before_the_deadline(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["text"] == "hang":
                await asyncio.sleep(60)
            await send({"type": "websocket.send", "text": "pong"})

    async with driving(app, at_once) as drive:
        await drive.connect()
        drive.timeout = 0.2
        answer = await drive.message("hang")
        drive.timeout = 5.0
        assert (await drive.message("ping")).status == 200
    assert answer.status == 504
    assert "did not end before the deadline" in caplog.text
    assert drive.sent() == ["pong"]


async def test_a_message_without_a_handshake_closes_its_connection(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(echo, at_once) as drive:
        answer = await drive.message("hello")
    assert answer.status == 410
    assert drive.closed()
    assert "its handshake is not in the store" in caplog.text


# $disconnect


async def test_the_application_hears_of_the_end(at_once: bool) -> None:
    app = Recorder()
    async with driving(app, at_once) as drive:
        await drive.connect()
        answer = await drive.disconnect(code=4000)
        assert answer.status == 200
        assert (await drive.message("late")).status == 410
    assert app.messages[-1] == {"type": "websocket.disconnect", "code": 4000, "reason": ""}
    assert app.ends[-1] == "returned"


async def test_what_is_sent_after_the_end_fails_as_an_os_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "bye"})

    async with driving(app) as drive:
        await drive.connect()
        with caplog.at_level(logging.INFO, "lamella"):
            assert (await drive.disconnect()).status == 200
    assert drive.sent() == []
    assert "the client has left" in caplog.text


async def test_excluded_headers_do_not_leave_with_a_handshake() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"x-secret", b"1"), (b"x-open", b"2")]
        if scope["path"] == "/in":
            await send({"type": "websocket.accept", "headers": headers, "subprotocol": ""})
            await receive()
        start = {"type": "websocket.http.response.start", "status": 401, "headers": headers}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": b"no"})

    for path, status in (("/in", 200), ("/out", 401)):
        async with driving(app, websocket_path=path, exclude_headers="X-Secret") as drive:
            result = (await drive.connect()).result
        assert result["statusCode"] == status
        assert {name.lower() for name in result["headers"]} == {"x-open"}


# What is sent


async def test_a_client_that_is_gone_is_an_os_error_and_forgotten(at_once: bool) -> None:
    caught = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        try:
            await send({"type": "websocket.send", "text": "still there?"})
        except OSError as error:
            caught.append(error)
        assert (await receive())["type"] == "websocket.disconnect"

    async with driving(app, at_once) as drive:
        await drive.connect()
        await _age(drive)
        drive.gateway.gone.add(ID)
        assert (await drive.message("hello")).status == 200
        assert (await drive.kept()) is None
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"bytes": b"1234"}, "4 bytes were sent over a WebSocket: API Gateway delivers text only."),
        ({"text": "x" * 131_073}, "A WebSocket message of 131073 bytes was sent"),
        ({"text": "é" * 65_537}, "A WebSocket message of 131074 bytes was sent"),
        ({}, "websocket.send has text None and bytes None"),
    ],
)
async def test_what_cannot_be_delivered_is_refused(
    at_once: bool, data: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", **data})

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert (await drive.message("go")).status == 500
    assert said in caplog.text
    assert drive.sent() == []


async def test_bytes_go_as_base64_where_that_is_asked_for(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "bytes": b"\0\1\xff"})
        await receive()

    async with driving(app, at_once, websocket_bytes="base64") as drive:
        await drive.connect()
        await drive.message("go")
    assert drive.sent() == ["AAH/"]


async def test_messages_out_of_order_are_named(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.send", "text": "too early"})

    async with driving(app) as drive:
        assert (await drive.connect()).status == 500
    assert "Expected 'websocket.accept', 'websocket.close' or" in caplog.text


# The session


async def test_the_session_outlives_the_events(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["extensions"]["lamella.websocket"]["session"]
        await receive()
        session.setdefault("said", [])
        await send({"type": "websocket.accept"})
        while True:
            session["said"].append((await receive())["text"])
            await send({"type": "websocket.send", "text": json.dumps(session)})

    async with driving(app, at_once) as drive:
        await drive.connect()
        for text in "abc":
            await drive.message(text)
    assert json.loads(drive.sent()[-1]) == {"said": ["a", "b", "c"]}


async def test_events_at_the_same_time_keep_each_others_keys(at_once: bool) -> None:
    together = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["extensions"]["lamella.websocket"]["session"]
        await receive()
        await send({"type": "websocket.accept"})
        text = (await receive())["text"]
        if text == "b":
            together.set()
        await together.wait()
        session[text] = True
        session.pop("old", None) if text == "b" else session.setdefault("old", 1)
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect()
        await asyncio.gather(drive.message("a"), drive.message("b"))
        row = await drive.kept()
    assert row["session"].keys() >= {"a", "b"}


async def test_a_session_that_json_cannot_hold_is_refused(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        scope["extensions"]["lamella.websocket"]["session"]["who"] = object()
        await receive()

    async with driving(app, at_once) as drive:
        await drive.connect()
        answer = await drive.message("go")
    assert answer.status == 500
    assert "The WebSocket's session cannot be kept: Object of type object" in caplog.text


# Applications with several tasks


async def test_an_application_that_reads_ahead_ends_its_work(at_once: bool) -> None:
    """As Quart does: one task reads into a queue, another one works."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def work(queue: asyncio.Queue[Message], send: Send) -> None:
            assert (await queue.get())["type"] == "websocket.connect"
            await send({"type": "websocket.accept"})
            await asyncio.sleep(0.02)
            await send({"type": "websocket.send", "text": "welcome"})
            while True:
                text = (await queue.get())["text"]
                await asyncio.sleep(0.02)
                await send({"type": "websocket.send", "text": f"echo {text}"})

        await read_ahead(receive, send, work)

    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("one")
        await drive.message("two")
    assert drive.sent() == ["welcome", "echo one", "echo two"]


async def test_a_pushing_task_does_not_hold_the_run(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def push() -> None:
            await asyncio.sleep(60)

        async def read() -> None:
            while True:
                text = (await receive())["text"]
                await send({"type": "websocket.send", "text": text})

        await asyncio.gather(read(), push())

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert (await drive.message("one")).status == 200
    assert drive.sent() == ["one"]


async def test_work_handed_to_a_task_is_finished(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(text: str) -> None:
            await asyncio.sleep(0.02)
            await send({"type": "websocket.send", "text": text})

        await receive()
        await send({"type": "websocket.accept"})
        tasks = []
        while True:
            tasks.append(asyncio.ensure_future(answer((await receive())["text"])))

    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("one")
    assert drive.sent() == ["one"]


@pytest.mark.parametrize("pause", [0, 0.02])
async def test_a_greeting_ends_before_another_task_receives(at_once: bool, pause: float) -> None:
    """As in Falcon and Quart: a task of the framework's reads as soon as the accept is sent."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[Message] = asyncio.Queue()

        async def read() -> None:
            while True:
                queue.put_nowait(await receive())

        await receive()
        await send({"type": "websocket.accept"})
        reading = asyncio.ensure_future(read())
        for text in ("welcome", "to all"):
            await asyncio.sleep(pause)
            await send({"type": "websocket.send", "text": text})
        while not reading.done():
            text = (await queue.get())["text"]
            await send({"type": "websocket.send", "text": f"echo {text}"})

    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("one")
        await drive.message("two")
    assert drive.sent() == ["welcome", "to all", "echo one", "echo two"]


async def test_a_task_group_of_anyio_is_no_greeting(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> None:
            while True:
                text = (await receive())["text"]
                await send({"type": "websocket.send", "text": text})

        await receive()
        await send({"type": "websocket.accept"})
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(asyncio.sleep, 60)

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert (await drive.message("one")).status == 200
    assert drive.sent() == ["one"]


# Applications that clean up


async def test_a_close_after_the_end_is_no_error(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            try:
                await send({"type": "websocket.close"})
            except OSError as error:  # Starlette and Quart make another one of it
                raise ValueError("gone") from error

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert (await drive.message("one")).status == 200
        assert not drive.closed()
        assert (await drive.disconnect()).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_end_of_a_run_leaves_no_group(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await websocket.group_add("all", ID)
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["text"] == "leave":
                    await websocket.group_discard("all", ID)
                await websocket.group_send("all", message["text"])
        finally:
            await websocket.group_discard("all", ID)

    async with driving(app, at_once) as drive:
        await drive.connect()
        for text in ("one", "two", "leave", "three"):
            assert (await drive.message(text)).status == 200
        assert drive.sent() == ["one", "two"]


async def _age(drive: Driver) -> None:
    """Let the connection be old enough for 410 to mean that it is gone."""
    store = drive.hub.store
    row = await store.get(ID)
    assert row is not None
    assert await store.replace(ID, {**row.document, "kept_at": 1.0}, row.version)
