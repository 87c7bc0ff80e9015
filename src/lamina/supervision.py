"""One cycle's run under its deadline, and the work it leaves behind.

The invocation is over only when the application has returned and the tasks it started have
ended: what runs on would freeze with the environment and wake in somebody else's request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any

from lamina.asgi.http import HTTPCycle
from lamina.settings import Settings
from lamina.types import ASGIApp

logger = logging.getLogger("lamina")

GRACE = 0.25  # seconds that a cancelled task has to clean up

AnyTask = asyncio.Task[Any]

_owned: ContextVar[set[AnyTask]] = ContextVar("lamina.tasks")


def task_factory(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **options: Any,
) -> AnyTask:
    """A task factory that remembers which invocation a task was started for.

    The invocation's set travels in the context, so tasks of the application's lifespan, which
    may run for ever, belong to none.
    """
    task = asyncio.Task(coroutine, loop=loop, **options)
    tasks = _owned.get(None)
    if tasks is not None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    return task


async def supervise(
    cycle: HTTPCycle, app: ASGIApp, settings: Settings, seconds_left: float
) -> None:
    """Run the cycle in the current task, then what it leaves behind, to the deadline at most.

    `seconds_left` is the time to Lambda's own deadline. The margin before it is for the answer
    504 to leave and for cancelled tasks to clean up. Raises the error that ends the environment
    where the application raised one (SystemExit, KeyboardInterrupt, MemoryError).
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    deadline = loop.time() + seconds_left - settings.deadline_margin_ms / 1000
    tasks: set[AnyTask] = set()
    _owned.set(tasks)
    timer = loop.call_at(deadline, _expire, cycle, task)
    await cycle.run(app)
    timer.cancel()
    if cycle.fatal is not None:
        raise cycle.fatal
    if tasks:
        limit = settings.background_timeout
        left = deadline - loop.time()
        await _finish(tasks, left if limit is None else min(left, limit), cycle)


def _expire(cycle: HTTPCycle, task: AnyTask) -> None:
    """The deadline is here: answer first, then cancel."""
    logger.error("%s: no end before the deadline; cancelled.", cycle.name)
    cycle.abandon(504, "Gateway Timeout: the application did not answer before the deadline.")
    task.cancel()


async def _finish(tasks: set[AnyTask], seconds: float, cycle: HTTPCycle) -> None:
    """Wait for the tasks, and for those that they start; cancel what is not done in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while tasks and loop.time() < deadline:
        await asyncio.wait(tasks, timeout=deadline - loop.time())
    if tasks:
        names = ", ".join(sorted(_describe(task) for task in tasks))
        logger.warning("%s: cancelled what it left running: %s", cycle.name, names)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=GRACE)


def _describe(task: AnyTask) -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()} ({getattr(coroutine, '__qualname__', repr(coroutine))})"
