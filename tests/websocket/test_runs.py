"""What a run does beside receiving: tasks, task groups, clean-up, and how all of that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest

from lamella.types import Message, Receive, Scope, Send
from lamella.websocket import current
from lamella.websocket.application import run_for_channel
from tests.websocket.api_gateway import listening
from tests.websocket.driver import (
    ID,
    driving,
    read_ahead,
    side_by_side,
)

pytestmark = pytest.mark.anyio


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
