"""The HTTP/1.1 server under the Runtime API: h11 for the grammar, asyncio streams for the bytes.

h11, because the Runtime API needs what web servers hide: body bytes as they come in, the
borders of chunks, and the trailers behind them. A body is read from the socket only as fast
as `body()` is consumed, so a slow consumer is felt by the sender through TCP.

The texts of errors are those of AWS's Runtime Interface Emulator, read off its wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import h11

from lamella.local.runtime_api.traffic import Exchange

READ_SIZE = 65_536
"""Bytes per read: also the bound of what one connection buffers, twice over, in asyncio."""

MAX_HEAD = 2 * 1024 * 1024
"""Bytes of one head or trailer section: an X-Ray cause header alone may hold 1 MiB."""

MAX_DISCARD = 256 * 1024
"""Bytes of an unwanted body that are read before the connection is closed instead."""

JSON = ("Content-Type", "application/json")


class ApiResponse(NamedTuple):
    """A complete response of the Runtime API."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (JSON,)

    @classmethod
    def json(cls, status: int, value: Any, *headers: tuple[str, str]) -> ApiResponse:
        """`value` as JSON with a newline behind it, as the real API writes it."""
        body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        return cls(status, body, (JSON, *headers))


ACCEPTED = ApiResponse.json(202, {"status": "OK"})
"""The response to everything that a runtime reports in time and in order."""


class ApiError(Exception):
    """A request that the API refuses; carries the `response` that says why."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        value = {"errorMessage": message, "errorType": error_type}
        self.response = ApiResponse.json(status, value)


class Truncated(Exception):
    """The peer closed the connection in the middle of a request."""


class ServerConnection:
    """Requests of one peer, one after another; see the module's docstring."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self.exchange = Exchange("", "", [], 0.0)

    async def request(self) -> Exchange | None:
        """The next request's head, or None when the peer has no more.

        Raises Truncated, and h11.RemoteProtocolError for what is not HTTP.
        """
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers]
        path = event.target.decode("ascii")
        self.exchange = Exchange(event.method.decode("ascii"), path, headers, time.monotonic())
        return self.exchange

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the request's body as they arrive; trailers go to `exchange`.

        A piece is at most READ_SIZE bytes and may be a part of a chunk. Raises Truncated.
        """
        chunked = self.exchange.header("transfer-encoding") == "chunked"
        while self._h11.their_state is h11.SEND_BODY:
            event = await self._event()
            if isinstance(event, h11.Data):
                # A plain body has no chunks: each of its reads counts as one.
                ends_chunk = bool(event.chunk_end) or not chunked
                self.exchange.record(len(event.data), time.monotonic(), ends_chunk)
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.exchange.trailers = [
                    (name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers
                ]

    async def whole_body(self) -> bytes:
        """The body of a request that has no limit of its own."""
        return b"".join([piece async for piece in self.body()])

    async def respond(self, response: ApiResponse) -> bool:
        """Send a response; whether the connection can carry another request.

        What is left of the request's body is read and forgotten before, up to a limit.
        """
        discarded = 0
        async for piece in self.body():
            discarded += len(piece)
            if discarded > MAX_DISCARD:
                break
        head = h11.Response(
            status_code=response.status,
            headers=[*response.headers, ("Content-Length", str(len(response.body)))],
        )
        messages = (head, h11.Data(data=response.body), h11.EndOfMessage())
        self._writer.write(b"".join(self._h11.send(message) or b"" for message in messages))
        await self._writer.drain()
        self.exchange.status = response.status
        self.exchange.answered_at = time.monotonic()
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    async def peer_closed(self) -> None:
        """Return when the peer has closed its side; bytes that come before that are kept."""
        while data := await self._reader.read(READ_SIZE):
            self._h11.receive_data(data)

    async def close(self) -> None:
        """Close the socket; what the peer has not read yet may be lost."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # most runtimes end by being killed
            await self._writer.wait_closed()

    async def _event(self) -> object:
        """h11's next event, or PAUSED, with as many reads as it takes."""
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                self._writer.write(self._h11.send(go_on) or b"")
            try:
                data = await self._reader.read(READ_SIZE)
            except ConnectionError:
                data = b""
            self._h11.receive_data(data)
            if not data and self._h11.their_state is h11.SEND_BODY:
                raise Truncated("the connection ended in the middle of a body")
        return event


class ApiServer:
    """Listens on a free port of 127.0.0.1 from `start()` to `close()`; `address` is host:port.

    `exchange` serves one request of a connection, and says whether the connection lives on.
    """

    def __init__(self, exchange: Callable[[ServerConnection], Awaitable[bool]]) -> None:
        self.address = ""
        self._exchange = exchange
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises OSError."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(ServerConnection(reader, writer)))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

        self._server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=READ_SIZE)
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

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            while await self._exchange(connection):
                pass
        except (Truncated, ConnectionError, h11.ProtocolError):
            pass  # the peer broke off or spoke no HTTP; each handler has settled its own affairs
        finally:
            await connection.close()
