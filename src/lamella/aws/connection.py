"""One HTTP/1.1 connection to one of AWS's services: a request out, its reply in."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from typing import cast

from lamella.http1 import Reply, ReplyReader

IDLE_LIMIT = 45.0
"""Seconds, by the wall clock, after which an idle connection is not used again.

Servers close what is idle for long. An environment that was frozen or restored meanwhile may never
be told, but its wall clock has moved on."""


def is_readable(sock: socket.socket) -> bool:
    """Whether something is there to be read from a socket: bytes, its end or an error."""
    if not hasattr(select, "poll"):  # Windows, whose `select` takes any socket
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()  # elsewhere, `select` refuses descriptors of 1024 and more
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class Connection(asyncio.Protocol):
    """Asks one question at a time. asyncio switches Nagle's algorithm off by itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = ReplyReader()
        self._reply: asyncio.Future[Reply] | None = None  # while a request waits for it
        self._kept = True  # the last exchange, if any, came to its proper end
        self._idle_since = time.time()
        self._aborted = False
        self.heard = False
        """Whether a byte came since the last request."""
        self.timed_out = False
        self.closed: asyncio.Future[None] = loop.create_future()
        """Done once the socket is closed."""

    @property
    def reusable(self) -> bool:
        """Whether a request may go out: nothing is half done, and the other side is there."""
        return (
            self._kept
            and not self._transport.is_closing()
            and 0 <= time.time() - self._idle_since < IDLE_LIMIT
            # Bytes that nobody asked for are the end of the connection, which the event loop has
            # not come to read yet because the environment was frozen.
            and not is_readable(self._transport.get_extra_info("socket"))
        )

    async def ask(self, method: str, request: bytes, seconds: float) -> Reply:
        """Send a request and give its reply. Whatever else happens, the connection is finished.

        Raises `OSError` or `EOFError` where the connection broke (`timed_out` where that was
        because the time was up), `ValueError` for what is not HTTP.
        """

        def time_out() -> None:
            self.timed_out = True
            self.abort()

        self._kept = self.heard = False
        self._reply = self._loop.create_future()
        self._reader.to_head = method == "HEAD"
        timer = self._loop.call_later(seconds, time_out)
        try:
            # Not waiting until it is written: a reply may come before, to refuse the rest.
            self._transport.write(request)
            reply = await self._reply
        finally:
            timer.cancel()
            self._reply = None
            self._idle_since = time.time()
        # Where a part of the request was not sent yet, the next reply could be about that.
        self._kept = self._reader.persistent and not self._transport.get_write_buffer_size()
        return reply

    def abort(self) -> None:
        """Close at once; a caller that waits for a reply gets an `EOFError`."""
        self._aborted = True
        self._transport.abort()

    def _take(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            return
        try:
            reply = self._reader.feed(data)
        except ValueError as error:
            self._reply.set_exception(error)
        else:
            if reply is not None:
                self._reply.set_result(reply)

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Read; where nobody asked for any bytes, the connection is finished."""
        if self._reply is None or self._reply.done():
            self.abort()
            return
        self.heard = True
        self._take(data)

    def eof_received(self) -> None:
        """The other side has no more; the transport closes itself."""
        self._take(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection is that of some bodies; for any other reply it is an error."""
        if exc is None and not self._aborted:
            self._take(b"")
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(exc or EOFError())
        if not self.closed.done():
            self.closed.set_result(None)
