"""The event loop that Lamella runs on: uvloop's where the function carries it, else asyncio's."""

from __future__ import annotations

import asyncio

from lamella.errors import SettingError


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A new loop of the kind that `ASGI_LOOP` names: "auto", "asyncio" or "uvloop".

    Raises `SettingError` where uvloop is asked for and is not there.
    """
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
