"""One HTTP/1.1 server connection: h11 for the grammar, asyncio streams for the bytes.

h11, because the Runtime API needs what web servers hide: body bytes as they come in, the
borders of chunks, and the trailers behind them. A body is read from the socket only as fast
as `body()` is consumed, so a slow consumer is felt by the sender through TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import h11

from lamella.local.replies import Reply
from lamella.local.traffic import Exchange

READ_SIZE = 65_536
"""Bytes per read: also the bound of what one connection buffers, twice over, in asyncio."""

MAX_HEAD = 2 * 1024 * 1024
"""Bytes of one head or trailer section: an X-Ray cause header alone may hold 1 MiB."""

MAX_DISCARD = 256 * 1024
"""Bytes of an unwanted body that are read before the connection is closed instead."""


class Truncated(Exception):
    """The peer closed the connection in the middle of a request."""


class Connection:
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
        while self._h11.their_state is h11.SEND_BODY:
            event = await self._event()
            if isinstance(event, h11.Data):
                self._record(event)
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.exchange.trailers = [
                    (name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers
                ]

    async def discard(self) -> None:
        """Read and forget the rest of the body, up to MAX_DISCARD bytes of it."""
        discarded = 0
        async for piece in self.body():
            discarded += len(piece)
            if discarded > MAX_DISCARD:
                return

    async def reply(self, reply: Reply) -> bool:
        """Send an answer; whether the connection can carry another request."""
        head = h11.Response(
            status_code=reply.status,
            headers=[*reply.headers, ("Content-Length", str(len(reply.body)))],
        )
        messages = (head, h11.Data(data=reply.body), h11.EndOfMessage())
        self._writer.write(b"".join(self._h11.send(message) or b"" for message in messages))
        await self._writer.drain()
        self.exchange.status = reply.status
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
            data = await self._read()
            self._h11.receive_data(data)
            if not data and self._h11.their_state is h11.SEND_BODY:
                raise Truncated("the connection ended in the middle of a body")
        return event

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE)
        except ConnectionError:
            return b""

    def _record(self, data: h11.Data) -> None:
        # A plain body has no chunks: each of its reads counts as one.
        chunked = self.exchange.header("transfer-encoding") == "chunked"
        ends = bool(data.chunk_end) or not chunked
        self.exchange.record(len(data.data), time.monotonic(), ends)
