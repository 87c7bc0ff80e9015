"""What applications and clients do besides what they should, and when servers fail."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

import lamella.websocket
from lamella.errors import StoreError, WebSocketError
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.types import AnyASGIApp, Message, Receive, Scope, Send
from lamella.websocket import current, hub
from lamella.websocket.application import run_for_channel
from lamella.websocket.store import Document, Row
from tests.websocket.api_gateway import listening
from tests.websocket.driver import (
    ID,
    connect_event,
    driving,
    message_event,
    read_ahead,
    side_by_side,
)

pytestmark = pytest.mark.anyio


def accepting(*messages: Message, then_receive: bool = True) -> AnyASGIApp:
    """An application that accepts, sends these messages, and receives until it is cancelled."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for message in messages:
            await send(message)
        while then_receive:
            await receive()

    return app


async def write_session(scope: Scope, receive: Receive, send: Send) -> None:
    """Keeps each message as the last one, and answers it."""
    session = scope["extensions"]["lamella.websocket"]["session"]
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        session["last"] = message["text"]
        await send({"type": "websocket.send", "text": "ok"})


# Work that goes on after the application has asked for the next message


async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An HTTP server that takes its time."""
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.1)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await writer.drain()


async def test_reading_ahead_leaves_time_for_sockets_of_anyio(at_once: bool) -> None:
    async with listening(slowly) as port:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def work(queue: asyncio.Queue[Message], send: Send) -> None:
                await queue.get()
                await send({"type": "websocket.accept"})
                while True:
                    await queue.get()
                    async with httpx.AsyncClient() as client:
                        answer = await client.get(f"http://127.0.0.1:{port}/")
                    await send({"type": "websocket.send", "text": answer.text})

            await read_ahead(receive, send, work)

        async with driving(app, at_once) as drive:
            await drive.connect()
            await drive.message("x")
            assert drive.sent() == ["ok"]


async def test_a_queue_behind_an_async_generator_is_no_work(at_once: bool) -> None:
    """Quart's tutorial: one broker, and an asynchronous generator for each client."""
    queues: set[asyncio.Queue[str]] = set()

    async def subscribe() -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            queues.discard(queue)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def read() -> None:
            while True:
                text = (await receive())["text"]
                for queue in queues:
                    queue.put_nowait(text)

        async def write() -> None:
            async for text in subscribe():
                await send({"type": "websocket.send", "text": text})

        await side_by_side(read(), write())

    # So long that the test times out where the run waits for it.
    async with driving(app, at_once, background_timeout=1000.0) as drive:
        drive.timeout = 1000.0
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["x"]


async def test_a_run_that_another_task_sends_to_is_finished() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["extensions"]["lamella.websocket"]["event"] == "channel":
            await receive()
            await send({"type": "websocket.accept"})
            run = current.current_run.get()
            assert run is not None
            await side_by_side(_inbox(run.cycle.receive_inbox(), send), _forever(receive))
            return

        async def work(queue: asyncio.Queue[Message], send: Send) -> None:
            await queue.get()
            await send({"type": "websocket.accept"})
            while True:
                await queue.get()
                async with current.sending():
                    await run_for_channel(current.here(), ID, {"type": "x"})
                await send({"type": "websocket.send", "text": "after"})

        await read_ahead(receive, send, work)

    async def _inbox(coming: Any, send: Send) -> None:
        await coming
        await asyncio.sleep(0.05)
        await send({"type": "websocket.send", "text": "from the channel"})

    async def _forever(receive: Receive) -> None:
        await receive()

    async with driving(app) as drive:
        await drive.connect()
        await drive.message("x")
    assert drive.sent()[0] == "from the channel"


async def test_clean_up_has_time(at_once: bool) -> None:
    done = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await receive()
        finally:
            await asyncio.sleep(0.4)
            done.append(scope["extensions"]["lamella.websocket"]["event"])

    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("x")
    assert done == ["connect", "message"]


async def test_clean_up_without_an_end_is_cancelled_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await receive()
        finally:
            await asyncio.sleep(60)

    async with driving(app, background_timeout=0.05) as drive:
        assert (await drive.connect()).status == 200
    assert "the application still cleans up 0.05 s after its run has ended" in caplog.text


async def test_a_task_of_somebody_elses_group_is_left_alone() -> None:
    group = anyio.create_task_group()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await receive()
            group.start_soon(anyio.Event().wait)

    async def host() -> None:
        async with group:
            await asyncio.sleep(60)

    async with driving(app) as drive:
        hosting = asyncio.ensure_future(host())
        await asyncio.sleep(0)
        await drive.connect()
        await drive.message("x")
        await asyncio.sleep(0.05)
        assert not hosting.done()
        hosting.cancel()
        await asyncio.wait({hosting})


async def test_two_tasks_that_receive_at_once_get_one_message_each_or_none(at_once: bool) -> None:
    got = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def take() -> None:
            got.append((await receive())["text"])

        await asyncio.gather(take(), take())

    async with driving(app, at_once) as drive:
        await drive.connect()
        assert (await drive.message("x")).status == 200
    assert got == ["x"]


# What is said before the first receive


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


# Bad input


@pytest.mark.parametrize(
    "change",
    [{"body": 5}, {"body": "@@", "isBase64Encoded": True}, {"body": "x", "isBase64Encoded": "y"}],
)
async def test_a_malformed_message_is_a_400_and_costs_nothing(
    at_once: bool, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(accepting(), at_once) as drive:
        await drive.connect()
        assert (await drive({**message_event("x"), **change})).status == 400
        assert "Malformed event (websocket)" in caplog.text
        assert (await drive.message("x")).status == 200


@pytest.mark.parametrize("connection_id", [5, None, {}, "", "a\nERROR forged"])
async def test_a_malformed_connection_id_is_a_400(at_once: bool, connection_id: Any) -> None:
    async with driving(accepting(), at_once) as drive:
        event = connect_event()
        event["requestContext"]["connectionId"] = connection_id
        assert (await drive(event)).status == 400


async def test_without_a_stage_the_setting_says_where_to(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    event = connect_event()
    del event["requestContext"]["stage"]
    async with driving(accepting(), at_once) as drive:
        assert (await drive(event)).status == 200
    async with driving(accepting(), at_once, websocket_endpoint="") as drive:
        assert (await drive(event)).status == 400
    assert "Set ASGI_WEBSOCKET_ENDPOINT to the URL" in caplog.text


# Servers that fail


async def test_a_store_that_fails_once_costs_the_event_only(
    at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driving(write_session, at_once) as drive:
        await drive.connect()

        async def fail(*_: Any) -> bool:
            raise StoreError("the store is down")

        with monkeypatch.context() as patch:
            patch.setattr(drive.hub.store, "replace", fail)
            assert (await drive.message("1")).status == 500
        assert not drive.closed()
        assert (await drive.message("2")).status == 200
    assert drive.sent() == ["ok"]


async def test_a_store_that_fails_at_the_handshake_refuses(
    at_once: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.accept"})
        except StoreError:
            return
        await receive()

    async with driving(app, at_once) as drive:

        async def fail(*_: Any) -> None:
            raise StoreError("the store is down")

        with monkeypatch.context() as patch:
            patch.setattr(drive.hub.store, "put", fail)
            assert (await drive.connect()).status == 500
        assert (await drive.connect("another")).status == 200


async def test_a_refused_recipient_does_not_cost_the_sender_its_connection(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        text = (await receive())["text"]
        await lamella.websocket.send("b", text)

    async with driving(app, at_once) as drive:
        await drive.connect("a")
        drive.gateway.answers = [(500, b"{}")]
        assert (await drive.message("x", "a")).status == 500
        assert not drive.closed("a")


async def test_a_greeting_that_fails_costs_no_message() -> None:
    got = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        while True:
            got.append((await receive())["text"])

    async with driving(app, at_once=False) as drive:
        await drive.connect()
        drive.gateway.answers = [(500, b"{}")]
        assert (await drive.message("1")).status == 200
    assert got == ["1"]


async def test_a_greeting_comes_first_although_another_event_wrote_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        while True:
            await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with driving(app, at_once=False) as drive:
        await drive.connect()
        store = drive.hub.store
        replace = store.replace

        async def after_another(connection_id: str, document: Document, version: Any) -> bool:
            monkeypatch.setattr(store, "replace", replace)
            row = await store.get(connection_id)
            assert row is not None
            await replace(connection_id, {**row.document, "session": {"k": 1}}, row.version)
            return await replace(connection_id, document, version)

        monkeypatch.setattr(store, "replace", after_another)
        await drive.message("1")
    assert drive.sent() == ["welcome", "1"]


async def test_many_events_at_once_keep_the_session_and_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with driving(write_session) as drive:
        await drive.connect()
        store = drive.hub.store
        get, replace = store.get, store.replace

        async def slow_get(connection_id: str) -> Row | None:
            await asyncio.sleep(0.003)
            return await get(connection_id)

        async def slow_replace(*arguments: Any) -> bool:
            await asyncio.sleep(0.003)
            return await replace(*arguments)

        monkeypatch.setattr(store, "get", slow_get)
        monkeypatch.setattr(store, "replace", slow_replace)
        answers = await asyncio.gather(*(drive.message(str(number)) for number in range(15)))
    assert Counter(answer.status for answer in answers) == {200: 15}
    assert not drive.closed()


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


# The end of an environment


async def test_an_error_that_ends_the_environment_is_no_answer(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise SystemExit(3)

    async with driving(app, at_once, log_access=True) as drive:
        with caplog.at_level(logging.INFO), pytest.raises(SystemExit):
            await drive.serve(connect_event())
    (access,) = [r.getMessage() for r in caplog.records if r.name == "lamella.access"]
    assert float(access.split()[-2]) >= 0


class ExitGroup(BaseException):
    """As a BaseExceptionGroup, which Python 3.10 has only from a package."""

    exceptions = (ValueError(), SystemExit(3))


async def test_an_exit_in_a_task_group_ends_the_environment(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ExitGroup

    async with driving(app, at_once) as drive:
        with pytest.raises(SystemExit):
            await drive.serve(connect_event())


# Several applications, several loops


async def test_another_adapter_does_not_change_this_ones_settings(at_once: bool) -> None:
    async with driving(accepting(), at_once) as drive:
        Service(accepting(), from_arguments({}))
        assert (await drive.connect()).status == 200
        assert (await drive.message("x")).status == 200


def test_loops_that_are_closed_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamella.served._served", None)
    monkeypatch.setenv("ASGI_WEBSOCKET_STORE", "memory:")

    async def send() -> bool:
        return await lamella.websocket.send("nobody", "x")

    for _ in range(5):
        assert not asyncio.run(send())
        assert not hub._hubs


async def test_events_leave_nothing_behind() -> None:
    async with driving(write_session) as drive:

        async def serve(events: int) -> int:
            for _ in range(events):
                await drive.connect()
                await drive.message("x")
                await drive.disconnect()
                drive.gateway.requests.clear()
                drive.gateway.messages.clear()
            gc.collect()
            return len(gc.get_objects())

        await serve(50)
        before = await serve(50)
        assert await serve(200) - before < 200


async def test_a_script_has_no_consumers_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with driving(accepting()):
        monkeypatch.setattr("lamella.served._served", None)
        monkeypatch.setenv("ASGI_WEBSOCKET_STORE", "memory:")
        with pytest.raises(WebSocketError, match="where Lamella serves no application"):
            await run_for_channel(current.here(), ID, {"type": "x"})


async def test_the_end_of_a_run_is_told_to_the_application_before_its_reader(
    at_once: bool,
) -> None:
    """Falcon's endpoint takes the end of the task that reads for it for the client's end."""
    ends = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[Message] = asyncio.Queue()

        async def pump() -> None:
            while True:
                queue.put_nowait(await receive())

        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        pumping = asyncio.ensure_future(pump())
        try:
            while True:
                getting = asyncio.ensure_future(queue.get())
                try:
                    await asyncio.wait({getting, pumping}, return_when=asyncio.FIRST_COMPLETED)
                    if pumping.done():
                        ends.append("the client left")
                        return
                    await send({"type": "websocket.send", "text": (await getting)["text"]})
                finally:
                    getting.cancel()
        finally:
            pumping.cancel()

    async with driving(app, at_once) as drive:
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["x"]
    assert not ends


async def test_a_handler_that_nobody_cancels_is_ended_with_its_run(at_once: bool) -> None:
    """Quart waits for its reader and its handler with asyncio.wait, which cancels neither."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def handle(queue: asyncio.Queue[Message], send: Send) -> None:
            await queue.get()
            await send({"type": "websocket.accept"})
            while True:
                text = (await queue.get())["text"]
                await send({"type": "websocket.send", "text": text})

        async def wait(*coroutines: Any) -> None:
            await asyncio.wait([asyncio.ensure_future(each) for each in coroutines])

        await read_ahead(receive, send, handle, wait)

    # So long that the test times out where the tasks are waited for.
    async with driving(app, at_once, background_timeout=1000.0) as drive:
        drive.timeout = 1000.0
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["x"]
