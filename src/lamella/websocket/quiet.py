"""Whether tasks have work left, or only wait for the client's next message.

Some applications read ahead: a task of theirs asks for the next message while another still works
on the last one (Quart). What that other one waits for tells the two apart.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

from lamella.life.leftovers import AnyTask

_BACKEND = "anyio._backends._asyncio"

_FOR_TASKS = {
    "asyncio.tasks": {"_wait", "wait_for"},
    "asyncio.taskgroups": {"__aexit__", "_aexit"},
    _BACKEND: {"__aexit__"},
}
"""The coroutines of asyncio and anyio that wait for tasks (or futures), by module."""

_FOR_SOMEBODY = {
    "asyncio.queues": {"get", "put", "join"},
    "asyncio.locks": {"wait", "acquire", "_block"},
    _BACKEND: {"acquire"},
}
"""Those that wait until somebody puts, sets or releases: another task, a thread, a callback."""

_SOCKETS = {"receive", "send", "accept", "receive_fds", "send_fds"}
"""Coroutines of anyio's backend that wait for the network: a callback sets their event."""

_OPAQUE = (
    *(asyncio.Future, CoroutineType, GeneratorType, AsyncGeneratorType, FrameType),
    *(type, ModuleType, CodeType),
)
"""What is not looked into. The first hold what they wait for themselves: who has such a task at
hand has not that thing. A class and a module hold what everybody has."""

_CONTAINERS: tuple[type[Collection[Any]], ...] = (dict, list, set, frozenset, tuple, deque)

LARGE = 1000
"""Items of a collection that is not searched."""


class Waits(NamedTuple):
    """What tasks waited for at some moment.

    Each its future; the queues, events and locks among it; and who waited for something else, a
    reply from a database for example.
    """

    futures: dict[AnyTask, object]
    things: list[object]
    busy: set[AnyTask]


NOTHING = Waits({}, [], set())


def waits(tasks: Iterable[AnyTask]) -> Waits:
    """What each of the tasks waits for now."""
    found = Waits({}, [], set())
    for task in tasks:
        chain = _chain(task)
        things = _things(chain)
        found.futures[task] = _awaited(task)
        found.things.extend(things)
        if not things and _children(task, chain) is None:
            found.busy.add(task)
    return found


def at_work(
    tasks: Iterable[AnyTask], before: Waits, run: Collection[AnyTask], idle: Collection[AnyTask]
) -> set[AnyTask]:
    """The tasks that have work of their own.

    None is one that waits for the same as `before`, and one that waits for other tasks of the
    `run`: for their end, or for what one of them knows that is `idle`, or waits as before. Nor is
    one that was busy before, and has now come to wait for somebody: with a subscription to set
    up, it was late.
    """
    waiting = {task for task in run if before.futures.get(task, task) is _awaited(task)}
    resting = waiting.union(idle)
    return {task for task in tasks if not task.done() and _works(task, before, run, resting)}


def _works(
    task: AnyTask, before: Waits, run: Collection[AnyTask], resting: Collection[AnyTask]
) -> bool:
    awaited = _awaited(task)
    if not isinstance(awaited, asyncio.Future) or awaited.done():  # about to run
        return True
    if before.futures.get(task) is awaited:
        return False
    chain = _chain(task)
    children = _children(task, chain)
    if children is not None:  # what is no task of the run, a resting one may set (Falcon)
        things = [child for child in children if not child.done() and child not in run]
        if not things:
            return False
    else:
        things = _things(chain)
        if not things:  # a timer, a reply from the network
            return True
        if task in before.busy or any(_is_in(thing, before.things) for thing in things):
            return False
    return not any(_knows(other, things) for other in resting if other is not task)


def _children(task: AnyTask, chain: list[FrameType]) -> Collection[Any] | None:
    """The tasks and futures that a task waits for; None where it waits for something else."""
    awaited = _awaited(task)
    if isinstance(awaited, asyncio.Task):
        return [awaited]
    if chain and _is_one_of(_FOR_TASKS, chain[0]):
        return _waited_for(chain[0])
    gathered: Collection[Any] | None = getattr(awaited, "_children", None)
    return gathered


def _awaited(task: AnyTask) -> object:
    return getattr(task, "_fut_waiter", None)  # asyncio's own name; it tells in no other way


def _is_one_of(places: dict[str, set[str]], frame: FrameType) -> bool:
    return frame.f_code.co_name in places.get(_module(frame), ())


def _waited_for(frame: FrameType) -> Collection[asyncio.Future[Any]]:
    """The futures that wait() or wait_for() waits for; those of a group are all in the run."""
    found = frame.f_locals
    future = found.get("fut")
    return found.get("fs", ()) if future is None else [future]


def _things(chain: list[FrameType]) -> list[object]:
    """What a task waits for somebody to put into, to set or to release; [] where it does not.

    That is the innermost object and, where asyncio's own is only a part of anyio's, that one:
    anyio's streams make an event for each item.
    """
    if not chain or not _is_one_of(_FOR_SOMEBODY, chain[0]):
        return []
    found: list[object] = []
    for frame in chain:
        if _module(frame).partition(".")[0] not in ("asyncio", "anyio"):
            break
        if _module(frame) == _BACKEND and frame.f_code.co_name in _SOCKETS:
            return []
        holder = frame.f_locals.get("self")
        found += [thing for thing in (holder, getattr(holder, "_state", None)) if thing is not None]
    return found


def _knows(task: AnyTask, things: Collection[object]) -> bool:
    """Whether a task holds one of these objects in a variable, or in an attribute of one."""
    values = [value for frame in _chain(task) for value in list(frame.f_locals.values())]
    return any(_is_in(held, things) for value in values for held in _reached(value))


def _reached(value: object) -> Iterator[object]:
    """The value, and what it holds: items and attributes, of a method those of its object.

    Asks no code of the application's: a lazy object (Django's) would do its work.
    """
    holder = value.__self__ if type(value) is MethodType else value
    yield holder
    if type(holder) is FunctionType:  # behind it are all globals of its module
        for cell in holder.__closure__ or ():
            yield from gc.get_referents(cell)
    elif not issubclass(type(holder), _OPAQUE) and not _is_large(holder):
        for held in gc.get_referents(holder):
            yield held
            if type(held) is dict and not _is_large(held):
                yield from held.values()


def _is_large(value: object) -> bool:
    kind = next((each for each in _CONTAINERS if issubclass(type(value), each)), None)
    return kind is not None and kind.__len__(value) > LARGE  # type: ignore[arg-type]  # it is one


def _is_in(thing: object, things: Collection[object]) -> bool:
    return any(thing is each for each in things)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _chain(task: AnyTask) -> list[FrameType]:
    """The frames of a chain of awaits, the one that really waits first."""
    if task is asyncio.current_task():  # its coroutines do not tell while they run
        return list(_callers())
    frames: list[FrameType] = []
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        if type(coroutine).__name__ in ("async_generator_asend", "async_generator_athrow"):
            coroutine = _generator(coroutine)
        frame = _attribute(coroutine, "cr_frame", "ag_frame", "gi_frame")
        if frame is None:
            break
        frames.append(frame)
        coroutine = _attribute(coroutine, "cr_await", "ag_await", "gi_yieldfrom")
    return frames[::-1]


def _callers() -> Iterator[FrameType]:
    """The frames of the current task, but for ours, which hold what is asked about."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _module(frame) != "asyncio.events":
        if not _module(frame).startswith("lamella."):
            yield frame
        frame = frame.f_back


def _generator(step: object) -> Any:
    """The asynchronous generator of one step, as in `async for`: only the collector knows it."""
    return next((held for held in gc.get_referents(step) if hasattr(held, "ag_frame")), None)


def _attribute(holder: object, *names: str) -> Any:
    return next((getattr(holder, name) for name in names if hasattr(holder, name)), None)
