"""What a child that the application forks must not do: take our signals, use our connections.

A forked child is a copy of this process. Until multiprocessing, or whoever forked it, has made
something else of it, it holds the sockets to the Runtime API, the event loop, and the pipe through
which the C part of a signal handler wakes the loop. That pipe is the parent's, too: the SIGTERM
of `Process.terminate()` would shut down the parent and leave the child alive.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from functools import partial
from typing import Protocol

from lamella.runtime import signals


class Descriptor(Protocol):
    """Something with an open file descriptor."""

    def fileno(self) -> int:
        """The descriptor's number."""


private: set[Descriptor] = set()
"""Open sockets to the Runtime API."""

_masks = threading.local()
_in_child = False


def in_child() -> bool:
    """Whether this process is a forked copy of one that serves."""
    return _in_child


def protect(loop: asyncio.AbstractEventLoop) -> None:
    """From now on forked children of this process are kept from what is ours.

    Signals wait from before the fork until the child is ready for them: a parent may call
    `terminate()` before its child has run at all.
    """
    os.register_at_fork(
        before=_hold_signals,
        after_in_parent=_let_signals,
        after_in_child=partial(_leave_alone, loop),
    )


def _hold_signals() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)


def _let_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _leave_alone(loop: asyncio.AbstractEventLoop) -> None:
    global _in_child
    _in_child = True
    signal.set_wakeup_fd(-1)
    signals.give_back()
    # The numbers stay taken: closed, they would soon be a file of the application's, and whatever
    # a transport of ours then closes or writes would be that file.
    null = os.open(os.devnull, os.O_RDWR)
    for each in private:
        os.dup2(null, each.fileno(), inheritable=False)
    os.close(null)
    # What Lamella says is about the parent's invocation.
    logging.getLogger("lamella").setLevel(logging.CRITICAL + 1)
    if loop.is_running():
        loop.stop()  # a child that comes back to the loop ends there
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is not signal.default_int_handler:
        _let_signals()
        return
    # One that has come already ends the child: Python ignores the KeyboardInterrupt of a function
    # that it calls at a fork, so the child would live on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _let_signals()
    signal.signal(signal.SIGINT, interrupt)
