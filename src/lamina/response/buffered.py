"""The sink that collects a whole response and hands it on when it is complete."""

from __future__ import annotations

from collections.abc import Callable

from lamina.types import Headers, Response


class BufferedSink:
    """Calls `deliver(response)` exactly once: with the last body message, or on failure.

    `deliver` gives the status that the client gets: a response may be too large to be delivered.
    """

    def __init__(self, deliver: Callable[[Response], int]) -> None:
        self.status = 0
        self._deliver = deliver
        self._status = 0
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._delivered = False

    def start(self, status: int, headers: Headers) -> None:
        """Keep status and headers."""
        self._status = status
        self._headers = headers

    async def write(self, data: bytes) -> None:
        """Keep a part of the body."""
        self._chunks.append(data)

    async def end(self, data: bytes) -> None:
        """Deliver the response."""
        if self._chunks:
            self._chunks.append(data)
            data = b"".join(self._chunks)
        self._finish(Response(self._status, self._headers, data))

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        """Deliver `status` with a plain text in place of what was collected."""
        self._finish(plain(status, message))

    def withdraw(self) -> None:
        """Deliver nothing."""
        self._delivered = True
        self._chunks = []

    def _finish(self, response: Response) -> None:
        if not self._delivered:
            self._delivered = True
            self._chunks = []
            self.status = self._deliver(response)


def plain(status: int, message: str) -> Response:
    """A plain text response of our own."""
    return Response(status, [(b"content-type", b"text/plain; charset=utf-8")], message.encode())
