"""A thread that reports an application which blocks the event loop past its deadline.

A blocked loop cannot answer 504, and Lambda kills the environment at the deadline without a word
of where it hung. The thread writes the stack of the blocked thread to the log before that.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback

from lamina.invocation import set_current
from lamina.runtime.in_flight import InFlight, Running

logger = logging.getLogger("lamina")

INTERVAL = 0.2
"""Seconds between two looks: 5 wake-ups a second cost less than a thousandth of a core, and
arming a timer for each invocation would cost each of them a switch between threads."""


class Watchdog:
    """Looks at what is in flight; `margin` (seconds) is the time before the deadline at which
    the loop should have cancelled a request by itself."""

    def __init__(self, in_flight: InFlight, margin: float) -> None:
        self._in_flight = in_flight
        # Half of the margin has passed in vain: the loop did not get to cancel the request.
        self._lead = margin / 2
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        self._reported: Running | None = None

    def start(self) -> None:
        """Start looking, in a daemon thread."""
        threading.Thread(target=self._watch, name="lamina-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(min(INTERVAL, self._lead / 2 or INTERVAL)):
            now = time.monotonic()
            for running in list(self._in_flight.values()):
                if now > running.deadline - self._lead and running is not self._reported:
                    self._reported = running
                    self._report(running)

    def _report(self, running: Running) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        stack = "".join(traceback.format_stack(frame)) if frame else "(no stack)\n"
        set_current(running.invocation)  # this thread's records carry the request's id
        logger.error(
            "%s blocks the event loop: it can neither be cancelled nor answered before the "
            "deadline. Run blocking code in a thread (asyncio.to_thread). It is here:\n%s",
            running.cycle.name,
            stack,
        )
