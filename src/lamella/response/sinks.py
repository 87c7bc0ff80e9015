"""Where a response goes: collected until it is complete, or passed on as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lamella.errors import ClientDisconnected
from lamella.response.wire import PAYLOAD_LIMIT, encode_prelude
from lamella.types import Headers, Response

if TYPE_CHECKING:
    from lamella.ports import Stream

HEADERS_PATIENCE = 0.05
"""Seconds that status and headers wait for the first body bytes, to leave in one write with
them. A server-sent-event stream may be silent for long, and its client waits for the headers."""


NO_CONTENT = (204, 205, 304)
"""Statuses whose answers have no body, whatever an application sends, and here no content-length.

RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5; 204 may have no length at all (section 8.6), the one
of a 304 would have to be that of the answer to a GET, which is not known here.
"""


class BufferedSink:
    """Calls `deliver(response)` exactly once: with the last body message, or on failure.

    `deliver` gives the status that the client gets: a response may be too large to be delivered.
    The rest of its parts, which may have no end, is then not kept. To a HEAD request
    (`head`), an answer has its headers and no body (RFC 9110, section 9.3.2).
    """

    def __init__(self, deliver: Callable[[Response], int], head: bool = False) -> None:
        self.status = 0
        self._deliver = deliver
        self._head = head
        self._bodiless = head  # or by the status
        self._status = 0
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._size = 0  # bytes of the chunks
        self._delivered = False

    def start(self, status: int, headers: Headers) -> None:
        """Keep status and headers."""
        self._status = status
        self._headers = headers
        if status in NO_CONTENT:
            self._bodiless = True
            self._headers = _without_length(headers)

    async def write(self, data: bytes) -> None:
        """Keep a part of the body. Raises `ClientDisconnected` where that is too much."""
        if self._bodiless or not data:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > PAYLOAD_LIMIT:
            await self.end(b"")
            raise ClientDisconnected("The response is too large to be delivered.")

    async def end(self, data: bytes) -> None:
        """Deliver the response."""
        if self._chunks:
            self._chunks.append(data)
            data = b"".join(self._chunks)
        self._finish(Response(self._status, self._headers, b"" if self._bodiless else data))

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        """Deliver `status` with a plain text in place of what was collected."""
        self._finish(plain(status, "" if self._head else message))

    def withdraw(self) -> None:
        """Deliver nothing."""
        self._delivered = True
        self._chunks = []

    def _finish(self, response: Response) -> None:
        if not self._delivered:
            self._delivered = True
            self._chunks = []
            self.status = self._deliver(response)


class StreamedSink:
    """Passes a response to `stream`; `prelude(status, headers)` gives the metadata's dictionary.

    To a HEAD request (`head`), an answer has its headers and no body.
    """

    def __init__(
        self, stream: Stream, prelude: Callable[[int, Headers], dict[str, Any]], head: bool = False
    ) -> None:
        self.status = 0
        self._stream = stream
        self._prelude = prelude
        self._head = head
        self._bodiless = head  # or by the status
        self._held: tuple[int, Headers] | None = None  # status and headers, until they leave
        self._timer: asyncio.TimerHandle | None = None
        self._started = False
        self._ended = False

    def start(self, status: int, headers: Headers) -> None:
        """Hold status and headers back for a moment, to send them with the first body bytes."""
        if status in NO_CONTENT:
            self._bodiless = True
            headers = _without_length(headers)
        self._held = status, headers
        if not (status == 204 or 300 <= status < 400):  # these have no body to wait for
            self._timer = asyncio.get_running_loop().call_later(HEADERS_PATIENCE, self._release)

    async def write(self, data: bytes) -> None:
        """Send a part of the body, and wait while the socket is full."""
        if data and not self._bodiless:
            self._stream.write(self._opening() + data)
            await self._stream.drain()

    async def end(self, data: bytes) -> None:
        """Send the last part of the body, and end the answer."""
        if self._bodiless:
            data = b""
        elif self._held is not None and not data:
            # Where there is neither a body nor a length, some clients of a Function URL wait for a
            # body until the timeout: docs/design.md names the reports. HTTP itself tells a client
            # that there is no body to HEAD, 204 and 304, so those answers need no length, and may
            # have none but the one that GET would have had (RFC 9110, section 8.6).
            status, headers = self._held
            if not any(name == b"content-length" for name, _ in headers):
                self._held = status, [*headers, (b"content-length", b"0")]
        self._ended = True
        self._stream.end(self._opening() + data)

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        """Answer with `status` where nothing has left yet, else end with the error trailers."""
        if self._ended:
            return
        self._ended = True
        if self._started:
            self._stream.end(b"", RuntimeError(message) if error is None else error)
            return
        response = plain(status, "" if self._head else message)
        self._held = response.status, response.headers
        self._stream.end(self._opening() + response.body)

    def withdraw(self) -> None:
        """Hold nothing back any more, and send none of it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._held = None

    def _opening(self) -> bytes:
        """The prelude's bytes, the first time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is None:
            return b""
        status, headers = self._held
        self._held = None
        self._started = True
        self.status = status
        return encode_prelude(self._prelude(status, headers))

    def _release(self) -> None:
        self._timer = None
        if self._held is not None:
            self._stream.write(self._opening())


def _without_length(headers: Headers) -> Headers:
    return [pair for pair in headers if pair[0] != b"content-length"]


def plain(status: int, message: str) -> Response:
    """A plain text response of our own."""
    return Response(status, [(b"content-type", b"text/plain; charset=utf-8")], message.encode())
