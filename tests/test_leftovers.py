"""What an application leaves running: waited for, cancelled, or none of our business."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from lamella.life import leftovers

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    leftovers._endless.intersection_update(leftovers.KNOWN_ENDLESS)
    yield
    leftovers._endless.intersection_update(leftovers.KNOWN_ENDLESS)


async def endless() -> None:
    await asyncio.sleep(60)


async def short(done: list[str]) -> None:
    await asyncio.sleep(0.02)
    done.append("short")


async def request(
    start: Any, seconds: float = 1.0, left_over: float = 60.0
) -> set[asyncio.Task[Any]]:
    """Run `start` as a request would, then finish what it left; what still runs."""

    async def serve() -> set[asyncio.Task[Any]]:
        tasks = leftovers.own()
        await start()
        await leftovers.finish(tasks, seconds, left_over, "GET /x")
        return tasks

    loop = asyncio.get_running_loop()
    loop.set_task_factory(leftovers.task_factory)
    try:
        return await loop.create_task(serve())
    finally:
        loop.set_task_factory(None)


async def test_E37_a_task_is_waited_for_and_so_are_those_it_starts() -> None:
    done: list[str] = []
    kept: list[Any] = []

    async def outer() -> None:
        await asyncio.sleep(0.01)
        done.append("outer")
        kept.append(asyncio.ensure_future(short(done)))

    async def start() -> None:
        kept.append(asyncio.ensure_future(outer()))

    assert await request(start) == set()
    assert done == ["outer", "short"]


async def test_E37_a_task_that_does_not_end_is_cancelled_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    started: list[asyncio.Task[None]] = []

    async def start() -> None:
        started.append(asyncio.ensure_future(endless()))

    await request(start, 0.05)
    assert started[0].cancelled()
    assert "test_leftovers.endless" in caplog.text
    assert "ASGI_BACKGROUND_TIMEOUT" in caplog.text

    # The same function again, such as a library's watcher: nobody waits, and it may live.
    caplog.clear()
    before = asyncio.get_running_loop().time()
    await request(start, 5)
    assert asyncio.get_running_loop().time() - before < 1
    assert not started[1].done()
    assert caplog.text == ""
    started[1].cancel()


async def test_work_that_the_deadline_cut_short_is_waited_for_again() -> None:
    done: list[str] = []
    started: list[asyncio.Task[None]] = []

    async def start() -> None:
        started.append(asyncio.ensure_future(short(done)))

    await request(start, 5, left_over=0)
    assert started[0].cancelled()
    await request(start, 5)
    assert done == ["short"]


async def test_a_task_of_a_group_opened_elsewhere_is_left_alone() -> None:
    """A session manager's, in lifespan: to cancel one of its tasks cancels the group."""
    async with anyio.create_task_group() as group:

        async def start() -> None:
            group.start_soon(endless)

        left = await request(start, 5)
        assert len(left) == 1
        assert not any(task.done() for task in left)
        group.cancel_scope.cancel()


async def test_a_task_of_a_group_of_the_request_s_own_is_waited_for() -> None:
    done: list[str] = []
    kept: list[Any] = []

    async def with_group() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(short, done)

    async def start() -> None:
        kept.append(asyncio.ensure_future(with_group()))

    assert await request(start) == set()
    assert done == ["short"]


async def test_a_task_of_lifespan_is_nobody_s() -> None:
    task = asyncio.ensure_future(endless())

    async def start() -> None:
        await asyncio.sleep(0)

    assert await request(start) == set()
    assert not task.done()
    task.cancel()
