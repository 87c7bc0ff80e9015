"""When a run is over: what its tasks wait for, and what becomes of those that never end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from lamina.types import Message, Receive, Scope, Send
from tests.websocket.driver import driving, read_ahead, side_by_side

pytestmark = pytest.mark.anyio

Ask = Callable[[], Awaitable[str]]


async def from_a_thread() -> str:
    """A callback of some SDK feeds a queue."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    put = queue.put_nowait
    threading.Timer(0.1, lambda: loop.call_soon_threadsafe(put, "answer")).start()
    return await queue.get()


async def from_a_future() -> str:
    """As nats-py's request(): a reader elsewhere sets the result."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.1, future.set_result, "answer")
    return await asyncio.wait_for(future, 5)


async def from_a_future_among_others() -> str:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.1, future.set_result, "answer")
    done, _ = await asyncio.wait([future])
    return done.pop().result()


async def from_an_event() -> str:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, event.set)
    await asyncio.wait_for(event.wait(), 5)
    return "answer"


async def from_an_event_of_anyio() -> str:
    event = anyio.Event()
    asyncio.get_running_loop().call_later(0.1, event.set)
    await event.wait()
    return "answer"


async def from_a_lock_of_another_run() -> str:
    lock = asyncio.Lock()
    await lock.acquire()
    asyncio.get_running_loop().call_later(0.1, lock.release)
    async with lock:
        return "answer"


async def from_a_group() -> str:
    """The group's host knows the queue, and can only wait for its child."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    found = []
    asyncio.get_running_loop().call_later(0.1, queue.put_nowait, "answer")

    async def take() -> None:
        found.append(await queue.get())

    async with anyio.create_task_group() as group:
        group.start_soon(take)
    return found[0]


ASKS = [
    from_a_thread,
    from_a_future,
    from_a_future_among_others,
    from_an_event,
    from_an_event_of_anyio,
    from_a_lock_of_another_run,
    from_a_group,
]


@pytest.mark.parametrize("ask", ASKS)
async def test_a_handler_beside_its_reader_is_waited_for(ask: Ask) -> None:
    """Quart and Falcon read ahead; who wakes the handler need not be a task of the run."""

    async def work(queue: asyncio.Queue[Message], send: Send) -> None:
        await queue.get()
        await send({"type": "websocket.accept"})
        while True:
            await queue.get()
            await send({"type": "websocket.send", "text": await ask()})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_ahead(receive, send, work)

    async with driving(app) as drive:
        await drive.connect()
        started = time.monotonic()
        await drive.message("x")
        assert time.monotonic() - started < 2, "it waits for the answer, not for ever"
    assert drive.sent() == ["answer"]


@pytest.mark.parametrize("ask", ASKS)
async def test_who_has_a_task_at_hand_has_not_what_it_waits_for(ask: Ask) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[Message] = asyncio.Queue()

        async def read() -> None:
            while True:
                queue.put_nowait(await receive())

        async def work() -> None:
            while True:
                await queue.get()
                await send({"type": "websocket.send", "text": await ask()})

        await receive()
        await send({"type": "websocket.accept"})
        reader, worker = asyncio.ensure_future(read()), asyncio.ensure_future(work())
        await asyncio.wait({reader, worker}, return_when=asyncio.FIRST_COMPLETED)

    async with driving(app) as drive:
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["answer"]


@pytest.mark.parametrize("ask", ASKS)
async def test_a_task_of_an_endpoint_is_waited_for(ask: Ask) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        jobs = set()

        async def job() -> None:
            await send({"type": "websocket.send", "text": await ask()})

        while True:
            await receive()
            jobs.add(asyncio.ensure_future(job()))

    async with driving(app) as drive:
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["answer"]


async def with_a_queue(receive: Receive, send: Send) -> None:
    """The writer is started by the first message."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def write() -> None:
        while True:
            await send({"type": "websocket.send", "text": await queue.get()})

    writing = None
    while True:
        queue.put_nowait((await receive())["text"])
        writing = writing or asyncio.ensure_future(write())


async def with_a_memory_stream(receive: Receive, send: Send) -> None:
    inward, outward = anyio.create_memory_object_stream[str](10)

    async def write() -> None:
        async for text in outward:
            await send({"type": "websocket.send", "text": text})

    async def read() -> None:
        while True:
            await inward.send((await receive())["text"])

    with inward, outward:
        await side_by_side(read(), write())


async def with_timeouts(receive: Receive, send: Send) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def write() -> None:
        while True:
            text = await asyncio.wait_for(queue.get(), 1000)
            await send({"type": "websocket.send", "text": text})

    async def read() -> None:
        while True:
            queue.put_nowait((await receive())["text"])

    await side_by_side(read(), write())


class Protocol:
    """A handler with state: the reader and the writer share it, and not the queue itself."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive, self.send = receive, send
        self.ready = asyncio.Event()
        self.texts: list[str] = []

    async def write(self) -> None:
        while True:
            while self.texts:
                await self.send({"type": "websocket.send", "text": self.texts.pop(0)})
            self.ready = asyncio.Event()
            await self.ready.wait()

    async def read(self) -> None:
        while True:
            self.texts.append((await self.receive())["text"])
            self.ready.set()


async def with_state(receive: Receive, send: Send) -> None:
    protocol = Protocol(receive, send)
    await side_by_side(protocol.read(), protocol.write())


@pytest.mark.parametrize("talk", [with_a_queue, with_a_memory_stream, with_timeouts, with_state])
async def test_who_waits_for_the_next_message_holds_no_event(talk: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await talk(receive, send)

    # So long that the test times out where the run waits for it.
    async with driving(app, background_timeout=1000.0) as drive:
        drive.timeout = 1000.0
        await drive.connect()
        for text in "ab":
            assert (await asyncio.wait_for(drive.message(text), 10)).status == 200
    assert drive.sent() == ["a", "b"]


# Tasks that push for as long as they are let


@pytest.mark.parametrize("pause", [0.05, 0.5])
async def test_tasks_that_push_for_ever_end_with_their_run(
    pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    ticking = set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def tick() -> None:
            while True:
                await asyncio.sleep(pause)
                await send({"type": "websocket.send", "text": "tick"})

        ticker = asyncio.ensure_future(tick())
        ticking.add(ticker)
        ticker.add_done_callback(ticking.discard)
        while True:
            await receive()

    async with driving(app, background_timeout=0.2) as drive:
        await drive.connect()
        for _ in range(4):
            await drive.message("x")
        await asyncio.sleep(1.5 * pause)
        assert not ticking
    assert "was dropped" not in caplog.text
    assert "never retrieved" not in caplog.text
