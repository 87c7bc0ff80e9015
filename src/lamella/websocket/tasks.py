"""The tasks of one run of an application: which of them rest, and how they end.

A run ends when the application has asked for the next message and every other task that it has
started in this run rests: it waits where a task waited when the message came. For example, the
handler that Quart runs beside its reader comes back to the line that takes the next message out of
a queue. A task that waits anywhere else works, whatever it waits for.

So nothing is asked about a task but where it is, as its traceback would tell. Before the message
comes there is no such place to compare with; then a task rests that waits for other tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lamella.life import leftovers
from lamella.life.leftovers import GRACE, AnyTask

logger = logging.getLogger("lamella")

TURNS = 10
"""Turns of the event loop without work, after which the tasks rest: a task that was woken by a task
that was woken by a third one has run by then."""

POLL = 0.002
"""Seconds between two looks at tasks that work, doubled each time."""

LONGEST_POLL = 0.05
"""Seconds."""

Place = tuple[tuple[int, int], ...]


class RunTasks:
    """The tasks that the application has started in its run, and the one that it is in.

    `patience` is the seconds that they have to end their work after the application has asked for
    more than there is, and to clean up when it is cancelled. `name` is for log records.
    """

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self._patience = patience
        self._acceptor: AnyTask | None = None
        self._resting: set[AnyTask] = set()  # those that wait in `rest`
        self._sending: set[AnyTask] = set()
        self._taking_part: set[AnyTask] = set()
        self._out_of_time: set[AnyTask] = set()  # those that did not rest within `patience`
        self._places: set[Place] | None = None  # where tasks waited when the message came
        self._all = leftovers.own_tasks()

    def take_part(self) -> None:
        """The current task receives from the client, or sends to it."""
        self._taking_part.add(this_task())

    def accept(self) -> None:
        """The current task lets the client in, and greets it."""
        self._acceptor = this_task()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While the current task sends it works, wherever it waits."""
        task = this_task()
        if task in self._sending:
            yield
            return
        self._sending.add(task)
        try:
            yield
        finally:
            self._sending.discard(task)

    async def settle(self) -> None:
        """Let the greeting end, and tasks that were just started come as far as they can.

        Where another task greets the client than the current one, which asks for the message, that
        one has a quarter of a second to rest.
        """
        acceptor = {self._acceptor} if self._acceptor else set[AnyTask]()
        if self._others():
            await self._wait(lambda: self._others() & acceptor, GRACE)

    def give(self) -> None:
        """The current task is given a message: where the others wait now is where they rest."""
        self._places = {_place(task) for task in self._others()}

    @property
    def given(self) -> bool:
        """Whether a message has been given, so that there may be work."""
        return self._places is not None

    async def rest(self) -> None:
        """Wait for what will not come in this run."""
        self._resting.add(this_task())
        await asyncio.get_running_loop().create_future()

    async def all_rest(self) -> None:
        """Wait until all but the current task rest, for `patience` at most."""
        self._out_of_time = await self._wait(self._others, self._patience)
        if self._out_of_time:
            logger.warning(
                "%s: still at work after the application had asked for the next message: %s. "
                "ASGI_BACKGROUND_TIMEOUT limits this.",
                self._name,
                ", ".join(sorted(leftovers.function_of(task) for task in self._out_of_time)),
            )

    async def end(self, application: AnyTask) -> None:
        """Cancel the application, then what it left that waits for what will not come.

        These are tasks that receive, and tasks that have sent and rest or had no time left: a
        handler that Quart runs beside its reader, or a task that sends for ever. A worker that the
        application keeps for itself goes on, and a task group that was opened elsewhere stays
        whole.
        """
        working = {task for task in self._others() if self._works(task)} - self._out_of_time
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

    def leave(self) -> None:
        """The current task goes on after the end of its run: it ends here, if it is the run's.

        A task of another run, which has come by the connection in memory, goes on, and so does
        one of a task group that was opened elsewhere: the whole group would end with it.
        """
        if this_task() in leftovers.without_strangers(self._all):
            raise asyncio.CancelledError

    async def _wait(self, tasks: Callable[[], set[AnyTask]], seconds: float) -> set[AnyTask]:
        """Wait until these have rested for `TURNS`; those that still work after `seconds`."""
        loop = asyncio.get_running_loop()
        deadline, pause, turns = loop.time() + seconds, 0.0, 0
        while turns < TURNS:
            await asyncio.sleep(0 if turns else pause)
            busy = {task for task in tasks() if self._works(task)}
            if busy and loop.time() >= deadline:
                return busy
            turns = 0 if busy else turns + 1
            pause = min(max(pause * 2, POLL), LONGEST_POLL) if busy else pause
        return set()

    def _others(self) -> set[AnyTask]:
        return leftovers.owned() - self._resting - {this_task()}

    def _works(self, task: AnyTask) -> bool:
        if task.done():
            return False
        if task in self._sending:
            return True
        if self._places is None:
            return not _waits_for_tasks(task)
        return _place(task) not in self._places


def this_task() -> AnyTask:
    """The current task."""
    task = asyncio.current_task()
    assert task is not None
    return task


def _place(task: AnyTask) -> Place:
    """Where a task waits: the functions that it is in, and how far it has come in each."""
    return tuple((id(each.cr_code), each.cr_frame.f_lasti) for each in _awaiting(task))


_FOR_TASKS = {
    "Queue.get",
    "MemoryObjectReceiveStream.receive",
    "TaskGroup.__aexit__",
    "_wait",
}
"""By its qualified name, what waits in asyncio and anyio for other tasks: for their end or for what
they put into a queue. `_wait` is what asyncio.wait() awaits."""


def _waits_for_tasks(task: AnyTask) -> bool:
    """Whether a task that greets the client is through with it, and waits for other tasks.

    This is what Quart and Falcon need, which read ahead: there is no place to compare with yet.
    """
    waiter = getattr(task, "_fut_waiter", None)  # asyncio's own name; it tells in no other way
    if waiter is not None and type(waiter) is not asyncio.Future:
        return True  # a task, or the future of asyncio.gather()
    return any(each.__qualname__ in _FOR_TASKS for each in _awaiting(task))


def _awaiting(task: AnyTask) -> Iterator[Any]:
    """A task's coroutine, what that one awaits, and so on, to the first that is no coroutine.

    A future tells nothing more, and an asynchronous generator does not tell what it awaits.
    """
    coroutine: Any = task.get_coro()
    while getattr(coroutine, "cr_frame", None) is not None:
        yield coroutine
        coroutine = coroutine.cr_await
