"""One cycle's run under its deadline.

The invocation is over only when the application has returned and the tasks it started have
ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from lamina import leftovers
from lamina.asgi.http import HTTPCycle
from lamina.leftovers import GRACE, AnyTask
from lamina.settings import Settings
from lamina.types import ASGIApp

access = logging.getLogger("lamina.access")
logger = logging.getLogger("lamina")


class Alarm:
    """Rings once at a time that can be moved: one event loop timer for many deadlines.

    A timer for each invocation would cost it as much as the rest of its supervision: a heap
    entry that stays until its time although it was cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._when = 0.0
        self._ring: Callable[[], None] | None = None

    def set(self, when: float, ring: Callable[[], None]) -> None:
        """Call `ring` at `when` (the loop's time), and not what was set before."""
        self._when, self._ring = when, ring
        if self._timer is not None and self._timer.when() > when:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(when, self._due)

    def clear(self) -> None:
        """Do not ring."""
        self._ring = None

    def _due(self) -> None:
        self._timer = None
        ring = self._ring
        if ring is None:
            return
        if self._loop.time() < self._when:
            self._timer = self._loop.call_at(self._when, self._due)
            return
        self._ring = None
        ring()


async def supervise(
    cycle: HTTPCycle, app: ASGIApp, settings: Settings, seconds_left: float, alarm: Alarm
) -> None:
    """Run the cycle in the current task, then what it leaves behind, to the deadline at most.

    `seconds_left` is the time to Lambda's own deadline. The margin before it is for the answer
    504 to leave and for cancelled tasks to clean up. Raises the error that ends the environment
    where the application raised one (SystemExit, KeyboardInterrupt, MemoryError).
    """
    started = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    margin = min(settings.deadline_margin_ms / 1000, seconds_left / 2)
    deadline = asyncio.get_running_loop().time() + seconds_left - margin
    tasks = leftovers.own()
    alarm.set(deadline, partial(_expire, cycle, task, alarm))
    await cycle.run(app)
    alarm.clear()
    if settings.log_access and access.isEnabledFor(logging.INFO):
        milliseconds = (cycle.ended_at - started) * 1000
        access.info("%s %d %.1f ms", cycle.name, cycle.status, milliseconds)
    if cycle.fatal is not None:
        raise cycle.fatal
    if tasks:
        left = deadline - asyncio.get_running_loop().time()
        await leftovers.finish(tasks, min(left, settings.background_timeout), cycle.name)


def _expire(cycle: HTTPCycle, task: AnyTask, alarm: Alarm) -> None:
    """The deadline is here: answer first, then cancel, and again while that is not heeded."""
    if cycle.abandoned:
        logger.error("%s: still runs although it was cancelled; cancelled again.", cycle.name)
    else:
        logger.error("%s: no end before the deadline; cancelled.", cycle.name)
        reason = "Gateway Timeout: the application did not answer before the deadline."
        cycle.abandon(504, reason)
    task.cancel()
    again = asyncio.get_running_loop().time() + GRACE
    alarm.set(again, partial(_expire, cycle, task, alarm))
