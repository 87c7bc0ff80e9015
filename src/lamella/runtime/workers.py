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
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType

from lamella.runtime import signals
from lamella.runtime.ending import leave
from lamella.runtime.extension import blocking_register

logger = logging.getLogger("lamella")

IN_VAIN = 70
"""Exit status of a worker whose init failed, or which the Runtime API does not answer: another in
its place would fail the same way."""


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
        self._started: dict[int, tuple[int, int]] = {}  # pid: slots, the pipe that says ready
        self._stopping = False
        self._extension: socket.socket | None = None

    def run(self, environ: Mapping[str, str], registers: bool) -> int:
        """Fork, wait, replace; the parent's exit status. `registers`: ask Lambda for SIGTERM."""
        if registers:
            self._extension = blocking_register(environ.get("AWS_LAMBDA_RUNTIME_API", ""))
        signals.remember()
        for number in signals.ENDING:
            signal.signal(number, self._stop)
        for slots in self._slots:
            if not self._stopping:
                self._fork(slots)
        status = 0
        while self._started:
            pid, wait_status = os.waitpid(-1, 0)
            if pid in self._started:  # else a child of the application's own
                status = max(status, self._ended(pid, os.waitstatus_to_exitcode(wait_status)))
        return status

    def _fork(self, slots: int) -> None:
        # A SIGTERM between the fork and the entry in the table would miss the new worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become_worker(slots, writing)
        os.close(writing)
        self._started[pid] = slots, reading
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDING)

    def _become_worker(self, slots: int, writing: int) -> None:
        signals.give_back()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDING)
        if self._extension is not None:
            self._extension.close()
        status = 1
        try:
            status = self._work(slots, partial(os.write, writing, b"1"))
        finally:
            leave(status)

    def _ended(self, pid: int, status: int) -> int:
        """Replace a worker that died; the environment's exit status where it is to end."""
        slots, reading = self._started.pop(pid)
        has_served = os.read(reading, 1) == b"1"
        os.close(reading)
        if self._stopping:
            return 0
        if status == IN_VAIN or not has_served:
            logger.critical("Worker %d ended with status %d: the environment ends.", pid, status)
            self._stop(signal.SIGTERM, None)
            return 1
        logger.error("Worker %d ended with status %d; another takes its place.", pid, status)
        self._fork(slots)
        return 0

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for pid in self._started:
            os.kill(pid, signal.SIGTERM)
