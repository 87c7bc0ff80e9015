"""Whether tasks have work left, or only wait for each other.

Some applications read ahead: a task of theirs asks for the next message while another still works
on the last one (Quart). What that other one waits for tells the two apart.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection, Iterable, Iterator
from types import FrameType
from typing import Any

from lamina.leftovers import AnyTask

Waits = dict[AnyTask, object]
"""What each task waited for at some moment: the future, by identity."""

_AMONG_TASKS = {
    "asyncio.queues": {"get", "put", "join"},
    "asyncio.locks": {"wait", "acquire", "_block"},
    "asyncio.tasks": {"_wait", "wait_for"},
    "asyncio.taskgroups": {"__aexit__", "_aexit"},
    "anyio._backends._asyncio": {"__aexit__", "acquire"},
}
"""The coroutines of asyncio and anyio that wait for another task of this process, by module: all
of their synchronisation, and what waits for tasks. asyncio.sleep is none of them."""

_FOR_SOCKETS = {
    "anyio._backends._asyncio": {"receive", "send"},
    "psycopg.waiting": {"wait_async"},
}
"""Callers of these that wait for the network after all: a socket's callback sets their event."""


def waits(tasks: Iterable[AnyTask]) -> Waits:
    """What each of the tasks waits for now."""
    return {task: _awaited(task) for task in tasks}


def at_work(tasks: Iterable[AnyTask], before: Waits, run: Collection[AnyTask]) -> set[AnyTask]:
    """The tasks that have work of their own.

    None is one that still waits for what it waited for `before`, and one that waits for other
    tasks of the `run`: for an item in a queue, an event, a lock, or their end.
    """
    return {task for task in tasks if not task.done() and _works(task, before, run)}


def _works(task: AnyTask, before: Waits, run: Collection[AnyTask]) -> bool:
    awaited = _awaited(task)
    if not isinstance(awaited, asyncio.Future) or awaited.done():  # about to run
        return True
    if before.get(task) is awaited:
        return False
    if isinstance(awaited, asyncio.Task):
        return awaited not in run
    children = getattr(awaited, "_children", None)  # of asyncio.gather
    if children is not None:
        return not all(child.done() or child in run for child in children)
    return not _waits_among_tasks(task)


def _awaited(task: AnyTask) -> object:
    return getattr(task, "_fut_waiter", None)  # asyncio's own name; it tells in no other way


def _waits_among_tasks(task: AnyTask) -> bool:
    places = map(_place, _frames(task.get_coro()))
    module, name = next(places, ("", ""))
    if name not in _AMONG_TASKS.get(module, ()):
        return False
    caller, function = next(places, ("", ""))
    return function not in _FOR_SOCKETS.get(caller, ())


def _place(frame: FrameType) -> tuple[str, str]:
    return frame.f_globals.get("__name__", ""), frame.f_code.co_name


def _frames(coroutine: Any) -> Iterator[FrameType]:
    """The frames of a chain of awaits, the one that really waits first."""
    frames: list[FrameType] = []
    while coroutine is not None:
        if type(coroutine).__name__ in ("async_generator_asend", "async_generator_athrow"):
            coroutine = _generator(coroutine)
        frame = _attribute(coroutine, "cr_frame", "ag_frame", "gi_frame")
        if frame is None:
            break
        frames.append(frame)
        coroutine = _attribute(coroutine, "cr_await", "ag_await", "gi_yieldfrom")
    return reversed(frames)


def _generator(step: object) -> Any:
    """The asynchronous generator of one step, as in `async for`: only the collector knows it."""
    return next((held for held in gc.get_referents(step) if hasattr(held, "ag_frame")), None)


def _attribute(holder: object, *names: str) -> Any:
    return next((getattr(holder, name) for name in names if hasattr(holder, name)), None)
