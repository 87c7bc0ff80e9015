"""The frameworks' rows of the matrix over plain HTTP: the same checks, and an example anywhere.

    python -m tests.contract URL --framework fastapi

What a client cannot see over HTTP (the process, its log, the time that the function works on) is
left out, as `tests.matrix.client.Client` has it. So are the columns of WebSockets: what is asked
there needs the function's log, and `tests.matrix` asks it of the local WebSocket API. What a
framework lacks by its own design is not asked for.

The examples count in their own memory, so there is to be one process, and on Lambda one
environment: a reserved concurrency of 1. While it is busy a front door answers 429.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from tests.contract.checks import PATIENCE, TLS
from tests.matrix.client import Client, Reply
from tests.matrix.frameworks import Framework
from tests.matrix.run import attempt

BUSY = 429


class HttpClient(Client):
    """A client of an application at any address; it waits while the function is busy.

    `origin` is what it connects to, where that is not the origin of `url`.
    """

    def __init__(self, url: str, *, streamed: bool, origin: str = "") -> None:
        self.base = url.rstrip("/")
        self.streamed = streamed
        self._origin = httpx.URL(origin or url)

    async def request(self, method: str, path: str, **content: Any) -> Reply:
        end = time.monotonic() + PATIENCE
        while True:
            reply = await self._send(httpx.Request(method, self.base + path, **content))
            if reply.status != BUSY or time.monotonic() > end:
                return reply
            await asyncio.sleep(0.05)

    async def _send(self, request: httpx.Request) -> Reply:
        request.url = self._origin.copy_with(raw_path=request.url.raw_path)
        async with httpx.AsyncClient(timeout=PATIENCE, verify=TLS) as http:
            response = await http.send(request, stream=True)
            pieces = [(time.monotonic(), piece) async for piece in response.aiter_raw()]
        headers = [(name.lower(), value) for name, value in response.headers.multi_items()]
        body = b"".join(piece for _, piece in pieces)
        spread = pieces[-1][0] - pieces[0][0] if pieces else 0.0
        return Reply(response.status_code, headers, body, spread)

    @property
    def pid(self) -> None:
        """Nobody sees it."""

    async def logged(self, text: str) -> None:
        """Nobody sees it."""


async def run(client: HttpClient, framework: Framework) -> dict[str, str]:
    """Each ability of the framework's example, and what went wrong, or ""."""
    wanted = {name: c for name, c in framework.contract.items() if name not in framework.lacks}
    return {name: await attempt(check, client) for name, check in wanted.items()}
