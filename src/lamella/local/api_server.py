"""Connections on a free port of 127.0.0.1, each served request by request until its peer leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import h11

from lamella.local.http11 import READ_SIZE, Connection, Truncated

Exchanging = Callable[[Connection], Awaitable[bool]]
"""Serves one request of a connection; whether the connection lives on."""


class ApiServer:
    """Listens from `start()` to `close()`; `address` is its host:port in between."""

    def __init__(self, exchange: Exchanging) -> None:
        self.address = ""
        self._exchange = exchange
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ_SIZE)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def drained(self, timeout: float) -> None:
        """Wait until a dead process's last bytes are read: its connections all ended."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=timeout)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        connection = Connection(reader, writer)
        try:
            while await self._exchange(connection):
                pass
        except (Truncated, ConnectionError, h11.ProtocolError):
            pass  # the peer broke off or spoke no HTTP; each handler has settled its own affairs
        finally:
            self._serving.discard(task)
            await connection.close()
