"""One streamed answer on its way to the Runtime API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lamina.errors import ClientDisconnected
from lamina.response.wire import chunk, last_chunk
from lamina.runtime.connection import Connection

if TYPE_CHECKING:
    from lamina.runtime.client import RuntimeClient


class StreamedPost:
    """One streamed answer: chunks out as bytes come in (Lambda's response streaming)."""

    def __init__(self, client: RuntimeClient, head: bytes, answered: Callable[[], None]) -> None:
        self._client = client
        self._answered = answered
        self._connection: Connection | None = None  # its own: the client may get another
        self._unsent = head
        self.opened = False
        self.ended = False
        self._withdrawn = False

    def write(self, data: bytes) -> None:
        """Send bytes of the body; the first ones leave in one write with the request's head."""
        self._write(chunk(data))

    async def drain(self) -> None:
        """Wait until the socket has room. Raises `ClientDisconnected` where it is closed."""
        if self._connection is None:  # nothing was written, or the connection is being renewed
            return
        await self._connection.drain()
        if not self._connection.waiting:  # closed, or refused already
            raise ClientDisconnected("The streamed answer was cut off by the Runtime API.")

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        """Send the last bytes and the end of the body, with an error in the trailers."""
        self.ended = True
        self._write(chunk(data) + last_chunk(error))
        self._answered()

    def withdraw(self) -> None:
        """Never open: the invocation was answered in another way."""
        self._withdrawn = True

    def open(self, connection: Connection) -> bytes:
        """Take the connection that the answer goes out on; what is to be sent first."""
        self._connection = connection
        unsent, self._unsent = self._unsent, b""
        return unsent

    def _write(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.write(data)
            return
        self._unsent += data
        if not self.opened and not self._withdrawn:
            self.opened = True
            self._client.start_stream(self)
