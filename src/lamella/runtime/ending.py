"""The end of a process: what is to be written is written, and nothing holds it up."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """Run exit handlers, flush, and end with `status`, whatever threads still run.

    The interpreter's own way would wait for every thread that is no daemon, for longer than the
    half second that Lambda gives.
    """
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more; the status still tells
            stream.flush()
    os._exit(status)
