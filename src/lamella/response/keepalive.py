"""Comment lines in silent streams of server-sent events, so that no front door drops them.

Front doors end a stream that is silent for too long; docs/front-doors.md has their limits. A
comment is a line that begins with a colon, which clients ignore
(https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). It goes
only where an event has ended, at a blank line. Imported only where `ASGI_STREAM_KEEPALIVE` is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from lamella.response.filters import Wrapper
from lamella.types import Headers

if TYPE_CHECKING:
    from lamella.ports import Sink

COMMENT = b":\n\n"

_EVENT_ENDS = re.compile(rb"(?:^|\r\n|\n|\r(?!\n))(?:^|\r\n|\n|\r)\Z")
"""Two ends of lines, of which CR LF is one; or nothing has been sent."""


class KeepAlive(Wrapper):
    """Sends a comment whenever the stream was silent for `seconds`."""

    def __init__(self, sink: Sink, seconds: float) -> None:
        super().__init__(sink)
        self._seconds = seconds
        self._events = False
        self._tail = b""
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    def start(self, status: int, headers: Headers) -> None:
        """Begin to wait, where these are server-sent events that nobody has coded or counted."""
        self._sink.start(status, headers)
        found = dict(headers)
        kind = found.get(b"content-type", b"").partition(b";")[0].strip().lower()
        fixed = {b"content-encoding", b"content-length"} & found.keys()
        self._events = kind == b"text/event-stream" and not fixed
        self._wait()

    async def write(self, data: bytes) -> None:
        """Pass on, and begin to wait anew."""
        self._rest()
        self._tail = (self._tail + data)[-4:]
        await self._sink.write(data)
        self._wait()

    async def end(self, data: bytes) -> None:
        """Pass on, and wait no more."""
        self._rest()
        await self._sink.end(data)

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        """Pass on, and wait no more."""
        self._rest()
        self._sink.fail(status, message, error)

    def withdraw(self) -> None:
        """Pass on, and wait no more."""
        self._rest()
        self._sink.withdraw()

    def _wait(self) -> None:
        self._rest()
        if self._events and _EVENT_ENDS.search(self._tail):
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._speak)

    def _speak(self) -> None:
        self._sending = asyncio.get_running_loop().create_task(self._comment())

    async def _comment(self) -> None:
        # Whoever writes first cancels this: before it has begun, or while it waits for the socket.
        with contextlib.suppress(OSError):  # the client is gone, as the application will be told
            await self._sink.write(COMMENT)
            self._sending = None
            self._wait()

    def _rest(self) -> None:
        for waiting in (self._timer, self._sending):
            if waiting is not None:
                waiting.cancel()
        self._timer = self._sending = None
