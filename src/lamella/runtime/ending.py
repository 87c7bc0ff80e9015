"""The end of a process: what is to be written is written, and nothing holds it up."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn


def exit_status(error: BaseException) -> int:
    """The exit status that Python gives a process which ends with `error`."""
    if not isinstance(error, SystemExit):
        return 1
    return error.code if isinstance(error.code, int) else int(error.code is not None)


def leave(status: int) -> NoReturn:
    """Run exit handlers, flush, and end with `status`, whatever threads still run.

    The interpreter's own way would wait for every thread that is no daemon, for longer than the
    half second that Lambda gives.
    """
    steps: tuple[Callable[[], object], ...] = (
        atexit._run_exitfuncs,
        logging.shutdown,
        lambda: sys.stdout.flush(),
        lambda: sys.stderr.flush(),
    )
    for step in steps:
        # What the application has hung in here may raise anything; and a log that nobody reads
        # any more changes no exit status.
        with contextlib.suppress(BaseException):
            step()
    os._exit(status)
