"""One HTTP/1.1 connection of a client: a request out, its reply in. Source: RFC 9112.

The runtime has a reader of its own (`lamella.runtime.http1`): that one is for the Runtime API,
whose replies are small, plain and awaited without a limit. AWS's services are behind TLS and
load balancers, which also answer late, break off, and end a body by closing the connection.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from typing import NamedTuple, cast

HEAD_LIMIT = 64 * 1024
"""Bytes that a reply's head may have."""

IDLE_LIMIT = 45.0
"""Seconds, by the wall clock, after which an idle connection is not used again.

Servers close what is idle for long. An environment that was frozen or restored meanwhile may never
be told, but its wall clock has moved on."""


class Reply(NamedTuple):
    """A whole reply: `headers` with lower-case names, `body` without its transfer coding."""

    status: int
    headers: dict[str, str]
    body: bytes


class Head(NamedTuple):
    """Status line and headers; `persistent`: another request may follow on the connection.

    One may not where the length is told in two ways (RFC 9112, section 6.3).
    """

    status: int
    headers: dict[str, str]
    persistent: bool


def read_head(data: bytes) -> Head:
    """Read a reply's head, without the empty line that ends it. Raises `ValueError`.

    What is repeated is joined by commas (RFC 9110, section 5.3).
    """
    line, *fields = data.decode("latin-1").split("\r\n")
    version, _, rest = line.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or not rest[:3].isdecimal():
        raise ValueError(f"{line[:100]!r} where a status line belongs")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = headers.get("connection", "").lower().replace(" ", "").split(",")
    persistent = version == "HTTP/1.1" and "close" not in options
    told_twice = "transfer-encoding" in headers and "content-length" in headers
    return Head(int(rest[:3]), headers, persistent and not told_twice)


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
        self._reader = asyncio.StreamReader(HEAD_LIMIT, loop)
        self._unread = 0  # bytes that the reader has and nobody took
        self._asking = False
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
        self._kept = self.heard = False
        self._asking = True
        timer = self._loop.call_later(seconds, self._time_out)
        try:
            # Not waiting until it is written: a reply may come before, to refuse the rest.
            self._transport.write(request)
            reply = await self._reply(method)
        except asyncio.LimitOverrunError as error:
            raise ValueError(f"a head or a line of more than {HEAD_LIMIT} bytes") from error
        finally:
            timer.cancel()
            self._asking = False
            self._idle_since = time.time()
        return reply

    def abort(self) -> None:
        """Close at once; who waits for a reply gets an `EOFError`."""
        self._aborted = True
        self._transport.abort()

    def _time_out(self) -> None:
        self.timed_out = True
        self.abort()

    async def _reply(self, method: str) -> Reply:
        head = await self._head()
        while head.status // 100 == 1:  # an interim reply: RFC 9110, section 15.2
            head = await self._head()
        if method == "HEAD" or head.status in (204, 304):
            body = b""
        elif head.headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunks()
        elif "content-length" in head.headers:
            body = await self._exactly(int(head.headers["content-length"]))
        else:
            return Reply(head.status, head.headers, await self._until_closed())
        # What follows a reply would be taken for the next one; and where a part of the request
        # was not sent yet, the next reply could be about that.
        unsent = self._transport.get_write_buffer_size()
        self._kept = head.persistent and not self._unread and not unsent
        return Reply(head.status, head.headers, body)

    async def _head(self) -> Head:
        return read_head(await self._until(b"\r\n\r\n"))

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._until(b"\r\n")).partition(b";")[0], 16):
            body += await self._exactly(size)
            if await self._until(b"\r\n"):
                raise ValueError("a chunk longer than its size")
        while await self._until(b"\r\n"):  # trailers
            pass
        return bytes(body)

    async def _until(self, end: bytes) -> bytes:
        """What comes before `end`."""
        data = await self._reader.readuntil(end)
        self._unread -= len(data)
        return data[: -len(end)]

    async def _exactly(self, size: int) -> bytes:
        data = await self._reader.readexactly(size)
        self._unread -= size
        return data

    async def _until_closed(self) -> bytes:
        body = await self._reader.read()
        if self._aborted:  # the end is not the server's, so this need not be all
            raise EOFError
        return body

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._reader.set_transport(transport)

    def data_received(self, data: bytes) -> None:
        """Give the bytes to who reads; where nobody asked for any, the connection is finished."""
        if not self._asking:
            self.abort()
            return
        self.heard = True
        self._unread += len(data)
        self._reader.feed_data(data)

    def eof_received(self) -> None:
        """The other side has no more; the transport closes itself."""
        self._reader.feed_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake who reads."""
        if exc is None:
            self._reader.feed_eof()
        else:
            self._reader.set_exception(exc)
        if not self.closed.done():
            self.closed.set_result(None)
