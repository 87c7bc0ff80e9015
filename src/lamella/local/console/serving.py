"""The console on a port of its own, because every path of the first is the function's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from lamella.local.console.journal import Journal
from lamella.local.console.pages import Console
from lamella.local.endpoints.guard import Guard
from lamella.local.endpoints.server import LocalServer, bound_socket
from lamella.local.execution.function import LocalFunction
from lamella.local.execution.process import LineCallback


@contextlib.asynccontextmanager
async def console(
    functions: Sequence[LocalFunction], port: int, log: LineCallback
) -> AsyncIterator[str]:
    """Serve the console on `port`, or on another where that is taken; its address."""
    journal = Journal(functions)
    pages = Console(journal)
    try:
        listening = bound_socket(port)
    except OSError:
        listening = bound_socket(0)
    server = LocalServer(Guard(pages, (), log), listening)
    tasks = [asyncio.ensure_future(server.serve()), asyncio.ensure_future(journal.sample())]
    try:
        yield server.origin
    finally:
        pages.close()
        server.stop()
        tasks[1].cancel()
        await asyncio.wait(tasks)
        listening.close()
