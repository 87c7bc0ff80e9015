"""What runs after an answer and before the environment is frozen.

Lambda freezes an environment as soon as it asks for the next invocation, and with it whatever a
library meant to send a moment later: spans, events, metrics.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable
from typing import Any, TypeVar

logger = logging.getLogger("lamina")

Hook = TypeVar("Hook", bound=Callable[[], Any])

_hooks: list[Callable[[], Any]] = []


def before_freeze(hook: Hook) -> Hook:
    """Decorator: call this function, sync or async and without arguments, after every answer.

    It runs when the invocation's work is done, before the environment is frozen, and within
    what is left of the invocation's time; a sync function runs in a thread. Not on managed
    instances, which are never frozen.
    """
    _hooks.append(hook)
    return hook


def hooks(flush: bool) -> list[Callable[[], Any]]:
    """What is registered, and, if `flush`, the flush methods of libraries that are loaded."""
    return [*_hooks, *(_flushers() if flush else ())]


async def run(registered: list[Callable[[], Any]], seconds: float) -> None:
    """Run the hooks one after the other, `seconds` in all at most. An error is a log record."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    for hook in registered:
        try:
            await asyncio.wait_for(_call(hook), max(deadline - loop.time(), 0))
        except asyncio.TimeoutError:
            logger.warning("before_freeze: %s was cut off.", _name(hook))
        except Exception as error:
            logger.error("before_freeze: %s failed.", _name(hook), exc_info=error)


async def _call(hook: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(hook):
        await hook()
    else:
        await asyncio.to_thread(hook)


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
