"""The frameworks' rows of the matrix over plain HTTP: the same checks, and an example anywhere.

    python -m tests.contract URL --framework fastapi

What a client cannot see over HTTP (the process, its log, the time that the function works on) is
left out, as `tests.matrix.client.Client` has it. What a framework lacks by its own design is not
asked for.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from typing import Any

import httpx

from tests.e2e.packages import installed
from tests.local.command import Cli
from tests.matrix.client import Client, Reply
from tests.matrix.frameworks import Framework
from tests.matrix.function import Function
from tests.matrix.run import attempt
from tests.ports import free_port

PATIENCE = 60.0
"""Seconds for one answer, and for a server to start."""

BUSY = 429
"""A function whose environments are all busy; a client asks again."""


class HttpClient(Client):
    """A client of an application at any address."""

    def __init__(self, url: str, *, streamed: bool) -> None:
        self.base = url.rstrip("/")
        self.streamed = streamed

    async def request(self, method: str, path: str, **content: Any) -> Reply:
        end = time.monotonic() + PATIENCE
        while True:
            reply = await self._send(httpx.Request(method, self.base + path, **content))
            if reply.status != BUSY or time.monotonic() > end:
                return reply
            await asyncio.sleep(0.1)

    async def _send(self, request: httpx.Request) -> Reply:
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
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


async def run(url: str, framework: Framework, *, streamed: bool) -> dict[str, str]:
    """Each ability of the framework's example at `url`, and what went wrong, or ""."""
    client = HttpClient(url, streamed=streamed)
    wanted = {name: c for name, c in framework.contract.items() if name not in framework.lacks}
    return {name: await attempt(check, client) for name, check in wanted.items()}


Judge = Callable[[Function], AbstractContextManager[str]]
"""Serves an example, and says where its root is."""


@contextmanager
def server(function: Function) -> Iterator[str]:
    """A web server: uvicorn, and Flask's own. What HTTP is."""
    port = str(free_port())
    environment = {"PATH": "/usr/bin:/bin"}
    if function.framework.name == "flask":
        command = ["-m", "flask", "--app", "main", "run", "--port", port]
    else:
        command = ["-m", "uvicorn", "main:app", "--port", port, "--log-level", "critical"]
        pinned = f"uvicorn=={version('uvicorn')}"
        environment["PYTHONPATH"] = str(installed(function.python, "uvicorn", pinned))
    process = subprocess.Popen(
        [function.python.path, *command],
        cwd=function.root,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"{url}/json", timeout=PATIENCE)
                break
            except httpx.TransportError:
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < end, "the server does not listen"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def function_url(function: Function) -> Iterator[str]:
    """`lamella run` with a streamed Function URL and one environment."""
    options = ("--front-door", "url", "--concurrency", "1", "--no-reload")
    where = ("--layer", str(function.opt), "--python", str(function.python.path))
    cli = Cli("run", "main:app", "--port", "0", *where, *options, cwd=function.root)
    try:
        yield cli.url()
    finally:
        cli.process.terminate()
        cli.process.wait(PATIENCE)
        assert cli.process.stdout is not None
        cli.process.stdout.close()


LOCAL: dict[str, Judge] = {"a web server": server, "Function URL, streamed": function_url}
"""Each judge of this machine by its name; both stream."""

NAMES = ("fastapi", "django", "flask", "litestar")
"""The frameworks that the tests ask here: ASGI with and without lifespan, and WSGI."""
