"""Serve in a process that awslambdaric has begun, in place of its own loop (`lamella.serve`)."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from typing import NoReturn

from lamella.runtime import logs
from lamella.runtime.main import run

logger = logging.getLogger("lamella")


def take_over(thresholds: tuple[int, int, int]) -> NoReturn:
    """Serve the handler's application until the environment ends, and end the process.

    `thresholds` are the garbage collector's, to be put back after the import.
    On managed instances awslambdaric has forked a process for each slot, and this is one of them.
    """
    forked = multiprocessing.parent_process() is not None
    _undo_set_up()
    if forked:
        logger.warning(
            "On managed instances 'Handler: lamella.serve...' runs one process for each request. "
            "With the layer and AWS_LAMBDA_EXEC_WRAPPER=/opt/bootstrap one process serves all "
            "requests, in a fraction of the memory."
        )
    run(thresholds, sys.argv[1:], one_slot=forked)


def _undo_set_up() -> None:
    """Take over what awslambdaric has set up: its log handler, its descriptor, its stdout.

    Its handler puts its own idea of the request id into each record, and its wrappers of stdout
    and stderr flush after each write.
    """
    root = logging.getLogger()
    descriptor: int | None = None
    for handler in list(root.handlers):
        sink = getattr(handler, "log_sink", None)
        if sink is not None:
            root.removeHandler(handler)
            descriptor = getattr(sink, "fd", descriptor)
    if descriptor is not None:
        os.environ[logs.FD_VARIABLE] = str(descriptor)  # configure() takes it out again
    sys.stdout = getattr(sys.stdout, "stream", sys.stdout)
    sys.stderr = getattr(sys.stderr, "stream", sys.stderr)
    logs.configure(os.environ)
