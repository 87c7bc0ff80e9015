"""The event loop that Lamella runs on: uvloop's where the function carries it, else asyncio's."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from lamella.errors import SettingError

T = TypeVar("T")


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A new loop of the kind that `ASGI_LOOP` names: "auto", "asyncio" or "uvloop".

    In a forked child, a SystemExit or KeyboardInterrupt that comes back to the loop ends the child.
    Raises `SettingError` where uvloop is asked for and is not there.
    """
    loop = _made(name)
    if sys.version_info >= (3, 14):
        # A task's step then fails in a child, whose running loop Python has unset: the loop would
        # take the exit for the context of that failure, report it and run on for ever.
        os.register_at_fork(after_in_child=partial(loop.set_exception_handler, _raise_exit))
    return loop


def run_alone(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on a loop of its own, whatever the application has made of asyncio.run()."""
    loop = asyncio.SelectorEventLoop()
    try:
        result = loop.run_until_complete(work)
        loop.run_until_complete(loop.shutdown_asyncgens())  # sockets close
        return result
    finally:
        loop.close()


def _raise_exit(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    raised = getattr(context.get("exception"), "__context__", None)
    if isinstance(raised, SystemExit | KeyboardInterrupt):
        raise raised
    loop.default_exception_handler(context)


def _made(name: str) -> asyncio.AbstractEventLoop:
    if name != "asyncio":
        try:
            import uvloop  # type: ignore[import-not-found]  # the function's, where it has one
        except ImportError:
            if name == "uvloop":
                raise SettingError(
                    "ASGI_LOOP='uvloop' needs uvloop, which the function does not carry: "
                    "add it to its requirements, or use auto."
                ) from None
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()
