"""Ctrl-C and SIGTERM as an exception that comes once: what follows from it is not interrupted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The person, or the system, wants this process to end; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interrupts:
    """Whether a signal raises Stopped. The one that does makes all later ones wait for `hear`.

    So the way from that exception to the end of what it started has no moment in which a second
    signal could take it away.
    """

    def __init__(self) -> None:
        self.deaf = False

    def hear(self) -> None:
        """Let the next signal raise Stopped again."""
        self.deaf = False

    def came(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if not self.deaf:
            self.deaf = True
            raise Stopped(number)


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Handle the signals of this process in the block."""
    handler = Interrupts()
    before = {number: signal.signal(number, handler.came) for number in SIGNALS}
    try:
        yield handler
    finally:
        for number, each in before.items():
            signal.signal(number, each)
