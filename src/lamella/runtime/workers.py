"""Several worker processes for one environment: managed instances with more than one vCPU.

The parent imports the application once and forks; each worker has its own event loop, lifespan
and share of the slots. The parent only waits: it forwards SIGTERM, and replaces a worker that
dies. It runs no event loop, because a fork would share it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NamedTuple

from lamella.runtime import logs, signals
from lamella.runtime.ending import leave
from lamella.runtime.extension import register

logger = logging.getLogger("lamella")

IN_VAIN = 70
"""Exit status of a worker whose init failed, or which the Runtime API does not answer: another in
its place would fail the same way."""

ENDED = 71
"""Exit status of a worker whose application has ended the environment, and not only the worker."""

SETTLED = 10.0
"""Seconds after which a worker that ends had worked before."""

QUICK_ENDS = 6
"""How often in a row the worker of a share may end sooner than that."""

FIRST_PAUSE = 0.1
"""Seconds before the second of them is replaced, and doubled each time: 3 in all."""


class Worker(NamedTuple):
    """A process that serves `slots`. `ready` is the pipe in which it says so; `quick_ends` counts
    those before it in its place that ended soon. `started` is by time.monotonic()."""

    slots: int
    ready: int
    started: float
    quick_ends: int


def can_fork() -> bool:
    """Whether it is safe to fork now: a thread could hold a lock that no child ever releases."""
    return threading.active_count() == 1


def shares(slots: int, processes: int) -> list[int]:
    """The slots of each process: as even as can be, at least one each."""
    each, more = divmod(slots, processes)
    return [each + (index < more) for index in range(processes)]


class Workers:
    """Keeps one worker per share alive.

    `work(slots, ready)` runs in each and gives its exit status; it calls `ready` before it asks
    for its first invocation, so that a worker which dies of a request is told from one that
    cannot start.
    """

    def __init__(self, work: Callable[[int, Callable[[], object]], int], slots: list[int]) -> None:
        self._work = work
        self._slots = slots
        self._started: dict[int, Worker] = {}  # by process id
        self._stopping = False
        self._extension: socket.socket | None = None

    def run(self, environ: Mapping[str, str], registers: bool) -> int:
        """Fork, wait, replace; the parent's exit status. `registers`: ask Lambda for SIGTERM."""
        if registers:
            self._extension = register(environ.get("AWS_LAMBDA_RUNTIME_API", ""))
        signals.remember()
        for number in signals.ENDING:
            signal.signal(number, self._stop)
        logs.share()
        for slots in self._slots:
            self._fork(slots, quick_ends=0)
        status = 0
        while self._started:
            pid, wait_status = os.waitpid(-1, 0)
            if pid in self._started:  # else a child of the application's own
                status = max(status, self._ended(pid, os.waitstatus_to_exitcode(wait_status)))
        return status

    def _fork(self, slots: int, quick_ends: int) -> None:
        # A SIGTERM between the look whether one has come and the entry in the table would miss
        # the new worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)
        if self._stopping:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDING)
            return
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            os.set_blocking(reading, False)  # a child of the worker's may hold the other end
            self._started[pid] = Worker(slots, reading, time.monotonic(), quick_ends)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDING)
            return
        status = 1
        try:
            os.close(reading)
            if self._extension is not None:
                self._extension.close()
            for number in signals.ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDING)
            if quick_ends > 1:
                time.sleep(FIRST_PAUSE * 2 ** (quick_ends - 2))
            signals.give_back()
            status = self._work(slots, partial(os.write, writing, b"1"))
        finally:
            leave(status)

    def _ended(self, pid: int, status: int) -> int:
        """Replace a worker that ended; the environment's exit status where that is to end."""
        worker = self._started.pop(pid)
        try:
            was_ready = os.read(worker.ready, 1) == b"1"
        except BlockingIOError:
            was_ready = False
        os.close(worker.ready)
        if self._stopping:
            return 0
        quick = time.monotonic() - worker.started < SETTLED
        quick_ends = worker.quick_ends + 1 if quick else 0
        if status in (IN_VAIN, ENDED) or not was_ready:
            logger.critical("Worker %d ended with status %d: the environment ends.", pid, status)
        elif quick_ends >= QUICK_ENDS:
            logger.critical(
                "Worker %d ended with status %d, as did %d before it, each within %g s of its "
                "start: the environment ends.",
                *(pid, status, worker.quick_ends, SETTLED),
            )
        else:
            logger.error("Worker %d ended with status %d; another takes its place.", pid, status)
            self._fork(worker.slots, quick_ends)
            return 0
        self._stop(signal.SIGTERM, None)
        return 1

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for pid in self._started:
            # A signal may come when a worker has ended, and its entry is still there.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
