"""Streams five chunks, 40 ms apart; the first holds the time at which it was sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

CHUNKS = 5
PAUSE = 0.04  # seconds


async def app(
    _scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    chunk = b"%.9f\n" % time.monotonic()
    for _ in range(CHUNKS - 1):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await asyncio.sleep(PAUSE)
        chunk = b"more\n"
    await send({"type": "http.response.body", "body": chunk})
