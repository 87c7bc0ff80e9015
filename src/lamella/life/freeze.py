"""What runs after an answer and before the environment is frozen.

Lambda freezes an environment as soon as it asks for the next invocation, and with it whatever a
library meant to send a moment later: spans, events, metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

logger = logging.getLogger("lamella")

Hook = TypeVar("Hook", bound=Callable[[], Any])

_hooks: list[Callable[[], Any]] = []


def before_freeze(hook: Hook) -> Hook:
    """Decorator: call this function, sync or async and without arguments, after every answer.

    It runs when the invocation's work is done, before the environment is frozen, and within
    what is left of the invocation's time (`ASGI_BACKGROUND_TIMEOUT` at most); a sync function
    runs in a thread. On the bootstrap way only, and not on managed instances, which are never
    frozen.
    """
    _hooks.append(hook)
    return hook


def hooks(flush: bool) -> list[Callable[[], Any]]:
    """What is registered, and, if `flush`, what empties the buffers of libraries in use."""
    if not flush:
        return list(_hooks)
    # Last, because the others may log.
    return [*_hooks, *_flushers(), *([log_queues] if _log_queues() else ())]


async def run(registered: list[Callable[[], Any]], seconds: float) -> None:
    """Run the hooks one after the other, `seconds` in all at most. An error is a log record."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    for hook in registered:
        if hook in _hanging:  # it has the thread, or ignores its cancellation
            continue
        call = _start(hook)
        await asyncio.wait({call}, timeout=max(deadline - loop.time(), 0))
        if not call.done():
            _hanging.add(hook)
            call.add_done_callback(partial(_ended, hook))
            if isinstance(call, asyncio.Task):
                call.cancel()
            logger.warning("before_freeze: %s was cut off.", _name(hook))
        elif not call.cancelled() and (error := call.result()) is not None:
            logger.error("before_freeze: %s failed.", _name(hook), exc_info=error)


_hanging: set[Callable[[], Any]] = set()


def _ended(hook: Callable[[], Any], _: object) -> None:
    _hanging.discard(hook)


def _start(hook: Callable[[], Any]) -> asyncio.Future[BaseException | None]:
    """Call a hook; the result is what it raised, which may be nothing that a future can raise."""
    loop = asyncio.get_running_loop()
    if inspect.iscoroutinefunction(hook):

        async def call() -> BaseException | None:
            try:
                await hook()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # SystemExit would stop the event loop
                return error
            return None

        return loop.create_task(call())
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not done.done():  # else it was cut off meanwhile
            done.set_result(error)

    def in_thread() -> None:
        raised: BaseException | None = None
        try:
            hook()
        except BaseException as error:
            raised = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the end has come
            loop.call_soon_threadsafe(settle, raised)

    # A thread of its own: one of the application's executor would be missed there if it hung.
    threading.Thread(target=in_thread, daemon=True).start()
    return done


def _name(hook: Callable[[], Any]) -> str:
    return getattr(hook, "__qualname__", repr(hook))


def _flushers() -> list[Callable[[], Any]]:
    """Flush methods of what the application has loaded; nothing is imported for this."""
    found = [
        getattr(provider, "force_flush", None)
        for module, getter in (
            ("opentelemetry.trace", "get_tracer_provider"),
            ("opentelemetry.metrics", "get_meter_provider"),
            ("opentelemetry._logs", "get_logger_provider"),
        )
        # The API package alone has no exporter: only the SDK's providers can flush.
        if "opentelemetry.sdk" in sys.modules and module in sys.modules
        for provider in (getattr(sys.modules[module], getter)(),)
    ]
    found.append(getattr(sys.modules.get("sentry_sdk"), "flush", None))
    return [flush for flush in found if flush is not None]


async def log_queues() -> None:
    """Wait until the records in the queues of logging have been handled.

    Litestar logs so by default: the thread behind the queue would be frozen with its records.
    """
    for queue in tuple(_log_queues()):
        began, unfinished = time.monotonic(), queue.unfinished_tasks
        try:
            while queue.unfinished_tasks:  # noqa: ASYNC110  a thread's, without an event
                await asyncio.sleep(POLL)
        except asyncio.CancelledError:
            if time.monotonic() - began > IDLE and queue.unfinished_tasks >= unfinished:
                _log_queues().remove(queue)  # once is enough to see that nobody empties it
            raise


POLL = 0.001
"""Seconds; cheaper than a thread that waits for another thread."""


IDLE = 0.2
"""Seconds in which a queue that somebody empties has become shorter, however busy it is."""


@cache
def _log_queues() -> list[Any]:
    """Each `queue.Queue` behind a logger: others tell when a record was taken, not when handled.

    Looked for once, after the first answer: by then an application has configured its logging.
    """
    module = sys.modules.get("logging.handlers")
    if module is None:
        return []
    handlers = {
        handler
        for logger in (logging.root, *logging.root.manager.loggerDict.values())
        for handler in getattr(logger, "handlers", ())  # a place holder has none
        if isinstance(handler, module.QueueHandler)
    }
    return list({h.queue for h in handlers if hasattr(h.queue, "unfinished_tasks")})
