"""A connection to the Runtime API: a kept one on asyncio, and one without an event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from lamella.errors import RuntimeApiError
from lamella.http1 import Reply, ReplyReader
from lamella.runtime import forks

READ_SIZE = 64 * 1024  # bytes read at a time
AT_ONCE = 0.02  # seconds that the event loop may wait for a connection
CONNECT_TIMEOUT = 1.0  # seconds; the Runtime API is on this machine, and up before us


Answer = Reply | RuntimeApiError
"""The outcome of a request: its reply, or what went wrong."""

Answered = Callable[[Answer], None]
"""Called once for each request."""


class Connection(asyncio.BufferedProtocol):
    """Sends one request at a time and calls back with its reply.

    There is no timeout on a reply: the process may be frozen for hours while it waits for the
    next invocation. Callbacks instead of futures, because each future costs a turn of the event
    loop, and this is on the path of every invocation.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = ReplyReader()
        # One buffer for all reads: asyncio's other protocol allocates 256 KiB for each.
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._answered: Answered | None = None
        self._socket: forks.Descriptor | None = None
        self._room: asyncio.Future[None] | None = None  # pending while the socket is full
        self.closed = False
        self.heard = False
        """Whether a byte came since the last request."""

    @property
    def waiting(self) -> bool:
        """Whether a request has no reply yet."""
        return self._answered is not None

    def request(self, data: bytes, answered: Answered) -> None:
        """Write a request, or the head of one; `answered` gets the reply, never before this
        method returns."""
        self._answered = answered
        self.heard = False
        if self.closed:
            self._loop.call_soon(self._end, None)
        else:
            self._transport.write(data)

    async def ask(self, data: bytes) -> Reply:
        """Write a request and wait for its reply. Raises `RuntimeApiError`."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.request(data, lambda reply: None if future.done() else future.set_result(reply))
        reply = await future
        if isinstance(reply, RuntimeApiError):
            raise reply
        return reply

    def write(self, data: bytes) -> None:
        """Write more of the request."""
        if not self.closed:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the socket has room for more."""
        if self._room is not None:
            await asyncio.shield(self._room)  # it is everybody's: a cancelled waiter leaves it be

    def close(self) -> None:
        """Close at once; a caller that waits for a reply gets no reply."""
        self.closed = True
        self._answered = None
        self._transport.abort()

    def _answer(self, reply: Answer) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(reply)

    def _end(self, cause: Exception | None) -> None:
        self._answer(_closed(cause))

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; small writes leave at once."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self._socket = sock
            forks.private.add(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read; a whole reply goes to its caller, and a reply without a caller is the end."""
        self.heard = True
        if self.waiting:
            self._read(self._buffer[:nbytes])
        else:
            self.closed = True
            self._transport.abort()

    def eof_received(self) -> None:
        """The other side has no more, which ends some replies; the transport closes itself."""
        if self.waiting and self.heard:
            self._read(b"")

    def _read(self, data: bytes | memoryview) -> None:
        try:
            reply: Answer | None = self._reader.feed(data)
        except ValueError as error:
            reply = _no_http(error)
        if reply is None:
            return
        self.closed = self.closed or isinstance(reply, Exception) or not self._reader.persistent
        self._answer(reply)
        if self.closed:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone: the caller that waits is told."""
        self.closed = True
        forks.private.discard(self._socket)
        self.resume_writing()
        self._end(exc)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """The socket has room again."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)


Connect = Callable[[str], Awaitable[Connection]]
"""Connects to an address, as `connect` does."""


async def connect(address: str) -> Connection:
    """Connect to `host:port`. Raises `RuntimeApiError`, saying the address."""
    host, port = _place(address)
    loop = asyncio.get_running_loop()
    try:
        try:
            # A plain socket, although the event loop waits for it: the Runtime API is on this
            # machine, where a connection is made or refused at once. asyncio's own way costs
            # several turns of the event loop, and each streamed answer needs a new connection.
            sock = _opened(host, port, AT_ONCE)
            sock.setblocking(False)
            opening = loop.create_connection(lambda: Connection(loop), sock=sock)
        except TimeoutError:  # its queue is full, with hundreds of slots: others go on meanwhile
            opening = loop.create_connection(lambda: Connection(loop), host, port)
        _, connection = await asyncio.wait_for(opening, CONNECT_TIMEOUT)
    except (OSError, OverflowError) as error:
        raise _unreached(address, error) from error
    return connection


def exchange(address: str, request: bytes) -> tuple[socket.socket, Reply]:
    """Send a request without an event loop: the connection, which stays open, and the reply.

    For a process that has no event loop for it yet, or whose application may have patched asyncio
    before it failed. Raises `RuntimeApiError`.
    """
    host, port = _place(address)
    try:
        connection = _opened(host, port, CONNECT_TIMEOUT)
    except (OSError, OverflowError) as error:
        raise _unreached(address, error) from error
    try:
        connection.settimeout(None)
        connection.sendall(request)
        reader = ReplyReader()
        while True:
            data = connection.recv(READ_SIZE)
            reply = reader.feed(data)
            if reply is not None:
                return connection, reply
            if not data:
                raise _closed(None)
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise _closed(error) from error
        if isinstance(error, ValueError):
            raise _no_http(error) from error
        raise


def _closed(cause: Exception | None) -> RuntimeApiError:
    reason = f": {cause}" if cause else ""
    return RuntimeApiError(f"The connection to the Runtime API was closed{reason}.")


def _no_http(error: ValueError) -> RuntimeApiError:
    return RuntimeApiError(f"The Runtime API did not answer in HTTP: {error}")


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise RuntimeApiError(
            f"AWS_LAMBDA_RUNTIME_API={address!r} is not host:port: Lambda sets it; to run on a "
            "machine of your own, use `lamella run`, or AWS's Runtime Interface Emulator."
        )
    return host, int(port)


def _opened(host: str, port: int, timeout: float) -> socket.socket:
    # The host as bytes: for text, Python imports its codec of international names.
    place: Any = (host.encode(), port)
    return socket.create_connection(place, timeout)


def _unreached(address: str, error: Exception) -> RuntimeApiError:
    return RuntimeApiError(
        f"No connection to the Runtime API at AWS_LAMBDA_RUNTIME_API={address!r}: "
        f"{error or type(error).__name__}"
    )
