"""Answers with the time of its last body message, and works on for 300 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

WORK = 0.3  # seconds


async def app(
    _scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    # Linux counts CLOCK_MONOTONIC from the boot, so the harness's clock is the same.
    await send({"type": "http.response.body", "body": b"%.9f\n" % time.monotonic()})
    await asyncio.sleep(WORK)
