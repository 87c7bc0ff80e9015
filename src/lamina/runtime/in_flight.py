"""The requests that run at the moment: for shutdown, and for the watchdog."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from lamina.asgi.http import HTTPCycle
from lamina.invocation import Invocation


class Running(NamedTuple):
    """A request that runs: `deadline` is when Lambda ends it, by time.monotonic()."""

    cycle: HTTPCycle
    invocation: Invocation
    task: asyncio.Task[Any]
    deadline: float

    def cut_off(self, status: int, reason: str) -> None:
        """Answer in the application's place, and cancel it."""
        self.cycle.abandon(status, reason)
        self.task.cancel()


InFlight = dict[HTTPCycle, Running]
"""What runs, by cycle. Only the event loop's thread changes it; the watchdog copies it."""
