"""The tasks of one run of an application: which have work left, and how they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lamella.life import leftovers
from lamella.life.leftovers import GRACE, AnyTask
from lamella.websocket import quiet

logger = logging.getLogger("lamella")

POLL = 0.002  # seconds between two looks at tasks that have work left, doubled each time
LONGEST_POLL = 0.05  # seconds


class RunTasks:
    """The tasks that the application has started in its run, and the one that it is in.

    `patience` is the seconds that they have to end their work after the application has asked for
    more than there is, and to clean up when it is cancelled. `name` is for log records.
    """

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self._patience = patience
        self._starving: set[AnyTask] = set()
        self._sending: set[AnyTask] = set()
        self._taking_part: set[AnyTask] = set()
        self._before: quiet.Waits | None = None
        self._all = leftovers.own_tasks()
        self._out_of_time: set[AnyTask] = set()  # those that had no end in `patience`

    @property
    def were_given_something(self) -> bool:
        """Whether a message has been given, so that there may be work."""
        return self._before is not None

    def give(self) -> None:
        """A message is given now: who goes on waiting for the same has nothing to do with it."""
        self._before = quiet.waits(self._others())

    def take_part(self) -> None:
        """The current task receives from the client, or sends to it."""
        self._taking_part.add(this_task())

    def leave(self) -> None:
        """The current task goes on after the end of its run: it ends here, if it is the run's.

        A task of another run, which has come by the connection in memory, goes on, and so does
        one of a task group that was opened elsewhere: the whole group would end with it.
        """
        if this_task() in leftovers.without_strangers(self._all):
            raise asyncio.CancelledError

    async def starve(self) -> None:
        """Wait for what will not come in this run."""
        self._starving.add(this_task())
        await asyncio.get_running_loop().create_future()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While the current task sends it is at work, whatever it waits for."""
        task = this_task()
        if task in self._sending:
            yield
            return
        self._sending.add(task)
        try:
            yield
        finally:
            self._sending.discard(task)

    async def quiet(self) -> None:
        """Wait until none but the current task has work left."""
        busy = self._out_of_time = await self._wait(self._others, self._patience)
        if busy:
            logger.warning(
                "%s: still at work after the application had asked for the next message: %s. "
                "ASGI_BACKGROUND_TIMEOUT says how long it may be.",
                self._name,
                ", ".join(sorted(leftovers.function_of(task) for task in busy)),
            )

    async def greeted(self, acceptor: AnyTask | None) -> None:
        """Where another task has accepted, wait until that one's greeting is sent."""
        if acceptor is not None and acceptor is not this_task():
            await self._wait(lambda: self._others() & {acceptor}, GRACE)

    async def end(self, application: AnyTask) -> None:
        """Cancel the application, then what it left that waits for what will not come.

        That is who receives, and who has sent and has no work left, or no time: a handler that
        Quart runs beside its reader, or what pushes for ever. A worker that the application keeps
        for itself is neither, and a task group that was opened elsewhere stays whole.
        """
        working = self._at_work(self._others()) - self._out_of_time
        while not application.done():
            application.cancel()
            await asyncio.wait((application,), timeout=self._patience)
            if not application.done():
                logger.warning(
                    "%s: the application still cleans up %g s after its run has ended; cancelled "
                    "again.",
                    self._name,
                    self._patience,
                )
        left = leftovers.without_strangers(leftovers.owned()) - {this_task()}
        for task in (left & self._taking_part) - working:
            task.cancel()

    async def _wait(self, tasks: Callable[[], set[AnyTask]], seconds: float) -> set[AnyTask]:
        """Wait until none of them has work left; those that have after so long."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + seconds, 0.0
        await asyncio.sleep(0)  # what a message has woken may not have run yet
        while busy := self._at_work(tasks()):
            if loop.time() >= deadline:
                break
            await asyncio.sleep(pause)
            pause = min(max(pause * 2, POLL), LONGEST_POLL)
        return busy

    def _at_work(self, tasks: set[AnyTask]) -> set[AnyTask]:
        before = self._before or quiet.NOTHING
        run = leftovers.owned() | self._starving
        idle = self._starving | {this_task()}  # which receives, where it is one of the run's
        return quiet.at_work(tasks, before, run, idle) | (tasks & self._sending)

    def _others(self) -> set[AnyTask]:
        return leftovers.owned() - self._starving - {this_task()}


def this_task() -> AnyTask:
    """The current task."""
    task = asyncio.current_task()
    assert task is not None
    return task
