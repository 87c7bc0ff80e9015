"""One cycle's run under its deadline.

The invocation is over only when the application has returned and the tasks it started have
ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING

from lamella.life import leftovers
from lamella.life.leftovers import GRACE, AnyTask
from lamella.settings import Settings
from lamella.types import ASGIApp

if TYPE_CHECKING:
    from lamella.ports import Cycle

access = logging.getLogger("lamella.access")
logger = logging.getLogger("lamella")


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
            self._arm(when)

    def clear(self) -> None:
        """Do not ring; the timer stays for the next time that is set."""
        self._ring = None

    def cancel(self) -> None:
        """Do not ring, and keep no timer: no other time will be set."""
        self._ring = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        # In no context: a timer would keep that of the request it was made in, event and all.
        self._timer = self._loop.call_at(when, self._due, context=Context())

    def _due(self) -> None:
        self._timer = None
        ring = self._ring
        if ring is None:
            return
        if self._loop.time() < self._when:
            self._arm(self._when)
            return
        self._ring = None
        ring()


def margin_of(settings: Settings, seconds_left: float) -> float:
    """Seconds before Lambda's deadline at which a request is ended: never more than half of it."""
    return min(settings.deadline_margin_ms / 1000, seconds_left / 2)


async def supervise(
    cycle: Cycle,
    app: ASGIApp,
    settings: Settings,
    seconds_left: float,
    alarm: Alarm,
    freezes: bool = True,
) -> None:
    """Run the cycle in the current task, then what it leaves behind, to the deadline at most.

    Where the environment never freezes, what is left behind just runs on.
    `seconds_left` is the time to Lambda's own deadline. The margin before it is for the answer
    504 to leave and for cancelled tasks to clean up. Raises the error that ends the environment
    where the application raised one (SystemExit, KeyboardInterrupt, MemoryError).
    """
    started = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    left = seconds_left - margin_of(settings, seconds_left)
    deadline = asyncio.get_running_loop().time() + left
    tasks = leftovers.own()
    # In this request's context: its records carry its id.
    alarm.set(deadline, partial(copy_context().run, _expire, cycle, task, alarm))
    try:
        await cycle.run(app)
    finally:
        alarm.clear()
    if cycle.abandoned:  # what was cancelled has ended; the task goes on, as if it never was
        while task.uncancel():
            pass
    if settings.log_access and access.isEnabledFor(logging.INFO):
        milliseconds = (cycle.ended_at - started) * 1000
        access.info("%s %d %.1f ms", cycle.name, cycle.status, milliseconds)
    if cycle.fatal is not None:
        raise cycle.fatal
    if tasks and freezes:
        left = deadline - asyncio.get_running_loop().time()
        await leftovers.finish(tasks, settings.background_timeout, left, cycle.name)


def _expire(cycle: Cycle, task: AnyTask, alarm: Alarm) -> None:
    """The deadline is here: answer first, then cancel, and again while that is not heeded."""
    if cycle.abandoned:
        logger.error("%s: still runs although it was cancelled; cancelled again.", cycle.name)
    else:
        logger.error("%s: did not end before the deadline; cancelled.", cycle.name)
        reason = "Gateway Timeout: the application did not answer before the deadline."
        cycle.abandon(504, reason)
    task.cancel()
    again = asyncio.get_running_loop().time() + GRACE
    alarm.set(again, partial(copy_context().run, _expire, cycle, task, alarm))
