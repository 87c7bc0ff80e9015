"""When a run is over: where its tasks wait, and what becomes of those that never end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from lamella.types import Message, Receive, Scope, Send
from tests.waiting import until
from tests.websocket.api_gateway import listening
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

    # So long that the test times out where the run waits for more than the answer.
    async with driving(app, background_timeout=1000.0) as drive:
        drive.timeout = 1000.0
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["answer"]


@pytest.mark.parametrize("ask", ASKS)
async def test_a_worker_that_nobody_else_knows_is_waited_for(ask: Ask) -> None:
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
        try:
            await asyncio.wait({reader, worker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            worker.cancel()

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


answers: list[asyncio.Queue[str]] = []


async def test_a_job_over_a_queue_of_the_module_is_waited_for() -> None:
    """A queue of the module is fed by a thread, and no task of the run can wake the job."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        async def job(text: str) -> None:
            put = answers[0].put_nowait
            threading.Timer(0.1, lambda: loop.call_soon_threadsafe(put, text)).start()
            await send({"type": "websocket.send", "text": await answers[0].get()})

        await receive()
        await send({"type": "websocket.accept"})
        jobs = set()
        while True:
            jobs.add(asyncio.ensure_future(job((await receive())["text"])))

    answers[:] = [asyncio.Queue()]
    async with driving(app) as drive:
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == ["x"]


async def test_jobs_over_a_socket_at_hand_are_waited_for() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            await asyncio.sleep(0.1)
            writer.write(data)

    async with listening(serve) as port:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            backend = await anyio.connect_tcp("127.0.0.1", port)
            jobs = set()

            async def job(text: str) -> None:
                await backend.send(text.encode())
                answer = (await backend.receive()).decode()
                await send({"type": "websocket.send", "text": answer})

            async with backend:
                while True:
                    jobs.add(asyncio.ensure_future(job((await receive())["text"])))

        async with driving(app) as drive:
            await drive.connect()
            await drive.message("x")
        assert drive.sent() == ["x"]


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


async def with_a_generator(receive: Receive, send: Send) -> None:
    """As in Quart's tutorial: an asynchronous generator tells nothing of what it awaits."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def texts() -> AsyncIterator[str]:
        while True:
            yield await queue.get()

    async def write() -> None:
        async for text in texts():
            await send({"type": "websocket.send", "text": text})

    async def read() -> None:
        while True:
            queue.put_nowait((await receive())["text"])

    await side_by_side(read(), write())


async def with_a_timer(receive: Receive, send: Send) -> None:
    """A task is not at work only because it wakes up from time to time."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def answer() -> None:
        while True:
            text = (await receive())["text"]
            await asyncio.sleep(0.05)
            await send({"type": "websocket.send", "text": text})

    await asyncio.gather(answer(), tick())


async def with_relays(receive: Receive, send: Send) -> None:
    """Each hands the message to the next one, and every one of them waits where it waited."""
    queues = [asyncio.Queue[str]() for _ in range(5)]

    async def relay(inward: asyncio.Queue[str], outward: asyncio.Queue[str]) -> None:
        while True:
            outward.put_nowait(await inward.get())

    async def write() -> None:
        while True:
            text = await queues[-1].get()
            await send({"type": "websocket.send", "text": text})

    async def read() -> None:
        while True:
            queues[0].put_nowait((await receive())["text"])

    relays = [relay(queues[n], queues[n + 1]) for n in range(4)]
    await side_by_side(read(), write(), *relays)


@pytest.mark.parametrize(
    "talk",
    [
        with_a_memory_stream,
        with_timeouts,
        with_state,
        with_a_generator,
        with_a_timer,
        with_relays,
    ],
)
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


# Tasks that come to wait for the next message only after this one has come: they hold the event


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


subscribed: set[asyncio.Queue[str]] = set()


async def with_a_broker(receive: Receive, send: Send) -> None:
    """As with the package broadcaster: a task subscribes first, in each event anew."""

    async def forward() -> None:
        for _ in range(3):
            await asyncio.sleep(0.005)
        queue: asyncio.Queue[str] = asyncio.Queue()
        subscribed.add(queue)
        try:
            while True:
                await send({"type": "websocket.send", "text": await queue.get()})
        finally:
            subscribed.discard(queue)

    async def publish() -> None:
        while True:
            text = (await receive())["text"]
            await until(lambda: bool(subscribed))
            for queue in subscribed:
                queue.put_nowait(text)

    await side_by_side(publish(), forward())


@pytest.mark.parametrize("talk", [with_a_queue, with_a_broker])
async def test_a_task_that_was_not_there_when_the_message_came_holds_its_event(
    talk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await talk(receive, send)

    async with driving(app, background_timeout=0.5) as drive:
        await drive.connect()
        for text in "ab":
            assert (await drive.message(text)).status == 200
    assert drive.sent() == ["a", "b"]
    assert caplog.text.count("still at work after the application had asked for the next") == 2


async def test_work_inside_an_asynchronous_generator_is_not_seen() -> None:
    """It waits for messages and for its work at one place, as far as a task tells."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def work(queue: asyncio.Queue[Message], send: Send) -> None:
            async def texts() -> AsyncIterator[str]:
                while True:
                    text = (await queue.get())["text"]
                    await asyncio.sleep(0.1)
                    yield text

            await queue.get()
            await send({"type": "websocket.accept"})
            async for text in texts():
                await send({"type": "websocket.send", "text": text})

        await read_ahead(receive, send, work)

    async with driving(app) as drive:
        await drive.connect()
        await drive.message("x")
    assert drive.sent() == []


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
    assert "still at work" not in caplog.text
    assert "was dropped" not in caplog.text
    assert "never retrieved" not in caplog.text


async def test_a_task_group_of_lifespan_outlives_its_tasks_that_send() -> None:
    """A ticker in it belongs to it: to cancel one ends the group, and lifespan with it."""
    groups: list[anyio.abc.TaskGroup] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            async with anyio.create_task_group() as group:
                groups.append(group)
                await send({"type": "lifespan.startup.complete"})
                await receive()
                group.cancel_scope.cancel()
            await send({"type": "lifespan.shutdown.complete"})
            return

        async def tick() -> None:
            for _ in range(20):
                await anyio.sleep(0.05)
                await send({"type": "websocket.send", "text": "tick"})

        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await receive()
            groups[0].start_soon(tick)

    async with driving(app, background_timeout=0.1) as drive:
        await drive.service.lifespan.startup(5)
        await drive.connect()
        for _ in range(2):
            assert (await drive.message("x")).status == 200
        await asyncio.sleep(0.2)
        assert not groups[0].cancel_scope.cancel_called
        await drive.service.lifespan.shutdown(2)


async def test_only_who_takes_part_ends_with_the_run() -> None:
    """One helper starts all of an application's tasks, so their names tell nothing."""
    done: list[str] = []
    tasks = set()

    async def guarded(work: Any) -> None:
        await work

    def spawn(work: Any) -> None:
        task = asyncio.ensure_future(guarded(work))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def audit(event: str) -> None:
            await asyncio.sleep(0.2)
            done.append(event)

        await receive()
        await send({"type": "websocket.accept"})
        spawn(audit(scope["extensions"]["lamella.websocket"]["event"]))
        while True:
            spawn(send({"type": "websocket.send", "text": (await receive())["text"]}))

    async with driving(app) as drive:
        await drive.connect()
        for _ in range(2):
            await drive.message("x")
    assert done == ["connect", "message", "message"]
