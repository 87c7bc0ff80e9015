"""The requests that run at the moment: for shutdown, and for the watchdog."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from lamella.errors import InvocationError
from lamella.invocation import Invocation
from lamella.ports import Cycle


class Running(NamedTuple):
    """A request that runs. By `due` (time.monotonic()) it should have been cancelled; `fail`
    fails its invocation."""

    cycle: Cycle
    invocation: Invocation
    task: asyncio.Task[Any]
    due: float
    fail: Callable[[InvocationError], None]

    def cut_off(self, status: int, reason: str) -> None:
        """Answer in the application's place, and cancel it."""
        self.cycle.abandon(status, reason)
        self.task.cancel()


InFlight = dict[Cycle, Running]
"""What runs, by cycle. Only the event loop's thread changes it; the watchdog copies it."""
