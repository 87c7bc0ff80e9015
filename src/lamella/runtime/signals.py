"""The signals that end an environment, and what the application itself does with them.

Lambda ends an environment with SIGTERM, a terminal with SIGINT. While the environment serves,
both are Lamella's. The application's own handlers, set at import or in lifespan startup, are
called when Lamella's shutdown is done; a forked child gets them back at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from lamella.runtime.ending import exit_status

logger = logging.getLogger("lamella")

ENDING = (signal.SIGTERM, signal.SIGINT)

_own: dict[int, signal._HANDLER] = {}
"""What Python did with each of the signals before Lamella took them."""

_received = 0
"""The number of the signal that ends the environment."""


def take(loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
    """From now on each of the signals calls `stop` in the loop."""

    def received(number: int) -> None:
        global _received
        _received = number
        stop()

    for number in ENDING:
        # Kept with the loop, where nobody can read it and which ends before it could be called.
        if loop.remove_signal_handler(number):
            logger.warning(
                "The application set its handler of %s with loop.add_signal_handler: it will not "
                "be called. Set it with signal.signal, or clean up in lifespan shutdown.",
                signal.Signals(number).name,
            )
    remember()
    for number in ENDING:
        loop.add_signal_handler(number, received, number)


def remember() -> None:
    """Keep the handlers that are set now."""
    _own.update((number, signal.getsignal(number)) for number in ENDING)


def give_back() -> None:
    """Set the handlers that were kept; for a forked child."""
    for number, handler in _own.items():
        # None: it was not set from Python, and no function of Python's can set it again.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def handled_by_application() -> bool:
    """Whether the application has set a handler for SIGTERM, which Lambda then has to send."""
    return callable(signal.getsignal(signal.SIGTERM))


def call_own() -> int:
    """Call the application's handler of the signal that came; the process's exit status."""
    handler = _own.get(_received)
    if not callable(handler) or handler is signal.default_int_handler:
        return 0
    try:
        handler(_received, None)
    except BaseException as error:
        if not isinstance(error, SystemExit):
            name = signal.Signals(_received).name
            logger.error("The application's handler of %s failed.", name, exc_info=error)
        return exit_status(error)
    return 0
