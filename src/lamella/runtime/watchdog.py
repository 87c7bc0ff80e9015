"""A thread that reports an application which blocks the event loop past its deadline.

A blocked loop cannot answer 504, and Lambda kills the environment at the deadline without a word
of where it hung. The thread writes the stack of the blocked thread to the log before that.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING
from weakref import WeakSet

from lamella.invocation import set_current
from lamella.runtime.loop import InFlight

if TYPE_CHECKING:
    from lamella.ports import Cycle

logger = logging.getLogger("lamella")

INTERVAL = 0.2
"""Seconds between two looks: 5 wake-ups a second cost less than a thousandth of a core, and
arming a timer for each invocation would cost each of them a switch between threads."""


ANSWER_TIME = 0.1
"""Seconds in which a loop that is not blocked runs a callback."""


class Watchdog:
    """Looks at what is in flight, from a thread: a request past its `due` time is still there
    because the loop is blocked, or because the application ignores its cancellation."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._seen: WeakSet[Cycle] = WeakSet()

    def start(self) -> None:
        """Start looking, in a daemon thread."""
        threading.Thread(target=self._watch, name="lamella-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL):
            now = time.monotonic()
            late = [r for r in list(self._in_flight.values()) if now > r.due]
            new = [running for running in late if running.cycle not in self._seen]
            self._seen.update(running.cycle for running in new)
            if not new:
                continue
            answered = threading.Event()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed: the end has come
                return
            if answered.wait(ANSWER_TIME):
                continue
            frame = sys._current_frames().get(self._loop_thread)
            stack = "".join(traceback.format_stack(frame)) if frame else "(no stack)\n"
            set_current(new[0].invocation)  # this thread's records carry the request's id
            logger.error(
                "%s blocks the event loop: it can neither be cancelled nor answered before the "
                "deadline. Run blocking code in a thread (asyncio.to_thread). It is here:\n%s",
                " or ".join(running.cycle.name for running in new),
                stack,
            )
