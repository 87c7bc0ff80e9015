"""Connections on a free port of 127.0.0.1, each served request by request until its peer leaves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

import h11

from lamella.local.http11 import READ_SIZE, Connection, Truncated

Exchanging = Callable[[Connection], Awaitable[bool]]
"""Serves one request of a connection; whether the connection lives on."""

Claim = Callable[[int], "ApiServer | None"]
"""The server for a new connection, by the port of its client; None refuses it."""


class ApiServer:
    """Listens from `start()` to `close()`; `address` is its host:port in between.

    `exchange` must be set before. Where several processes believe in the same address, `claim`
    tells their connections apart; a server that only gets what another one listens to is never
    started.
    """

    def __init__(self, address: str = "") -> None:
        self.exchange: Exchanging = _refuse
        self.claim: Claim | None = None
        self.address = address
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ_SIZE)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def drained(self, timeout: float) -> None:
        """Wait until a dead process's last bytes are read: its connections all ended."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout)

    @property
    def connections(self) -> Iterable[Connection]:
        """Those that are open now."""
        return list(self._connections.values())

    async def adopt(self, accepted: socket.socket, received: bytes) -> None:
        """Serve a connected socket, over which `received` has come in already."""
        reader, writer = await asyncio.open_connection(sock=accepted, limit=READ_SIZE)
        reader.feed_data(received)
        self._take(reader, writer)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server: ApiServer | None = self
        if self.claim is not None:
            server = self.claim(int(writer.get_extra_info("peername")[1]))
        if server is None:
            writer.close()
        else:
            server._take(reader, writer)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        task = asyncio.ensure_future(self._serve(connection))
        self._connections[task] = connection
        task.add_done_callback(lambda ended: self._connections.pop(ended, None))

    async def _serve(self, connection: Connection) -> None:
        try:
            while await self.exchange(connection):
                pass
        except (Truncated, ConnectionError, h11.ProtocolError):
            pass  # the peer broke off or spoke no HTTP; each handler has settled its own affairs
        finally:
            await connection.close()


async def _refuse(_connection: Connection) -> bool:
    raise ConnectionError("nobody serves this address")
