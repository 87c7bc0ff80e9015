"""Waiting for the first of several things, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*waits: Coroutine[Any, Any, Any], timeout: float | None = None) -> int | None:
    """Run `waits` until one ends; its index, the lowest of several, or None after `timeout` s.

    The others are cancelled, and their end is awaited, so that nothing is left running.
    Raises what the finished one raised.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for index, task in enumerate(tasks):
        if task in done:
            task.result()
            return index
    return None
