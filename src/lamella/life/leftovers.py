"""The tasks that an application starts for a request and leaves running.

They freeze with the environment and wake in somebody else's request, so they are waited for, and
cancelled where they do not end. Two kinds are left alone, because the next request needs them:
tasks of a task group that was opened elsewhere (a session manager's, in lifespan), and tasks of a
function that has once been found not to end (sse-starlette's watcher, which lives for ever).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any

logger = logging.getLogger("lamella")

GRACE = 0.25  # seconds that a cancelled task has to clean up

AnyTask = asyncio.Task[Any]

_owned: ContextVar[set[AnyTask]] = ContextVar("lamella.tasks")

KNOWN_ENDLESS = frozenset({"sse_starlette.sse._shutdown_watcher"})
"""Watchers that live as long as the process, by design."""

_endless: set[str] = set(KNOWN_ENDLESS)
"""Functions whose tasks did not end in time, by qualified name."""


def task_factory(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **options: Any,
) -> AnyTask:
    """A task factory that remembers which invocation a task was started for.

    The invocation's set travels in the context, so tasks of the application's lifespan, which
    may run for ever, belong to none.
    """
    task = asyncio.Task(coroutine, loop=loop, **options)
    tasks = _owned.get(None)
    if tasks is not None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    return task


def own() -> set[AnyTask]:
    """A set that from now on holds the running tasks that the current one starts."""
    tasks: set[AnyTask] = set()
    _owned.set(tasks)
    return tasks


def own_tasks() -> set[AnyTask]:
    """The set itself that `own` has made for the current invocation; an empty one elsewhere."""
    return _owned.get(set())


def owned() -> set[AnyTask]:
    """The running tasks that were started for the invocation that the current task serves."""
    return set(_owned.get(()))


async def finish(tasks: set[AnyTask], limit: float, left_over: float, name: str) -> None:
    """Wait for the tasks, and for those that they start; cancel what is not done in time.

    They have `limit` seconds, or what is `left_over` of the invocation's time where that is less.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(limit, left_over)
    while True:
        left = without_strangers({task for task in tasks if function_of(task) not in _endless})
        if not left or loop.time() >= deadline:
            break
        await asyncio.wait(left, timeout=deadline - loop.time())
    if left:
        functions = {function_of(task) for task in left}
        logger.warning(
            "%s: cancelled the tasks that it left running: %s. Start endless "
            "work in lifespan; ASGI_BACKGROUND_TIMEOUT limits all other tasks.",
            name,
            ", ".join(sorted(functions)),
        )
        if left_over >= limit:  # else the deadline cut it short, which says nothing of it
            _endless.update(f for f in functions if not f.startswith("asyncio."))
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=GRACE)


def without_strangers(tasks: set[AnyTask]) -> set[AnyTask]:
    """The tasks but for those of a task group that none of them, nor the current one, opened.

    Cancelling a task of a group of anyio's cancels the whole group, and its host with it.
    """
    ours = set(tasks)
    anyio = sys.modules.get("anyio")
    # For each task of a task group: the task that opened the group, by id.
    hosts = (
        {each.id: each.parent_id or each.id for each in anyio.get_running_tasks()} if anyio else {}
    )
    known = {id(task) for task in ours} | {id(asyncio.current_task())}
    while strangers := {task for task in ours if hosts.get(id(task), id(task)) not in known}:
        ours -= strangers
        known -= {id(task) for task in strangers}
    return ours


def function_of(task: AnyTask) -> str:
    """The qualified name of the function that a task runs, for log records."""
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    frame = getattr(coroutine, "cr_frame", None)
    module = frame.f_globals.get("__name__", "") if frame is not None else ""
    return f"{module}.{name}" if module else name
