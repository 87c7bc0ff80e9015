"""One HTTP request's life: the application on one side, a sink on the other.

States and what moves them (ASGI HTTP 2.5, https://asgi.readthedocs.io/en/latest/specs/www.html):

    REQUEST ──http.response.start──▶ RESPONSE ──last http.response.body──▶ COMPLETE
       │                                │       ──http.response.pathsend──▶
       └────────── abandon() ───────────┴────────────────────────────────▶ GONE

GONE is the end without the application: the deadline came, or the client went away.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from lamella.errors import FATAL, ApplicationError, ClientDisconnected, described, message_of
from lamella.types import CR, LF, NUL, TOKEN, ASGIApp, Headers, Message, Scope

if TYPE_CHECKING:
    from lamella.ports import Sink

logger = logging.getLogger("lamella")

FILE_CHUNK = 256 * 1024  # bytes read at a time from a file that pathsend names

PARTS = 16
"""Of a body, after which the event loop has a turn: nothing else could end an endless one."""


class State(Enum):
    """Where the cycle is, and the messages that the application may send there."""

    REQUEST = "waiting for http.response.start", "http.response.start"
    RESPONSE = "waiting for the rest of the body", "http.response.body", "http.response.pathsend"
    COMPLETE = ("response complete",)
    GONE = ("client gone",)

    def __init__(self, meaning: str, *accepted: str) -> None:
        self.meaning = meaning
        self.accepted = accepted


class HTTPCycle:
    """Runs the application for one request. `scope` and `body` are the request."""

    def __init__(self, scope: Scope, body: bytes, sink: Sink) -> None:
        self.scope = scope
        self.state = State.REQUEST
        self.ended_at = 0.0  # when the response was over, by time.monotonic()
        self.fatal: BaseException | None = None  # the error that ends the environment
        self.abandoned = False
        self._body: bytes | None = body
        self._sink = sink
        self._parts = 0  # of the body
        self._over: asyncio.Event | None = None
        # What the application answers 500 for, and raises again (Starlette): one error, one record.
        self._answered: BaseException | None = None

    @property
    def status(self) -> int:
        """The status that the client got, 0 while that is open."""
        return self._sink.status

    async def run(self, app: ASGIApp) -> None:
        """Call the application and see the response to its end.

        Whatever the application raises ends in an answer and a log record. An error that ends
        the environment is kept in `fatal`, for the caller to report: raised here, SystemExit
        would stop the event loop at once.
        """
        try:
            await app(self.scope, self.receive, self.send)
        except FATAL as error:
            self.fatal = error
            self._move(State.GONE)
            logger.critical("%s: the application ends the environment.", self.name, exc_info=error)
        except asyncio.CancelledError as error:
            if not self.abandoned:  # else abandon() was followed by cancel(), as it should be
                self._fail(error)
        except ClientDisconnected as error:
            logger.info("%s: %s", self.name, error)
        except BaseException as error:  # PyO3's panics and func_timeout's end a request, no more
            self._fail(error)
        else:
            if self.state is State.REQUEST:
                self._fail(ApplicationError("The application returned without a response."))
            elif self.state is State.RESPONSE:
                self._fail(
                    ApplicationError("The application returned before its response was whole.")
                )

    def abandon(self, status: int, reason: str) -> None:
        """End the response without the application: `status` where nothing has left yet.

        From here on receive() gives http.disconnect and send() raises `ClientDisconnected`.
        The caller then cancels the task that runs the application.
        """
        self.abandoned = True
        if self.state in (State.REQUEST, State.RESPONSE):
            self._move(State.GONE)
            self._sink.fail(status, reason, TimeoutError(reason))

    async def receive(self) -> Message:
        """Give the body once; then wait until the response is over, and disconnect for ever."""
        body = self._body
        if body is not None and self.state in (State.REQUEST, State.RESPONSE):
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        if self.state in (State.REQUEST, State.RESPONSE):
            if self._over is None:
                self._over = asyncio.Event()
            await self._over.wait()
        else:
            await asyncio.sleep(0)  # asked in an endless loop, it can be cancelled
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take one message of the application.

        Raises `ApplicationError` for a message that the state does not allow or that is
        malformed, `ClientDisconnected` (an OSError) once the client is gone.
        """
        kind, state = message["type"], self.state
        if kind not in state.accepted:
            await asyncio.sleep(0)  # as in `receive`
            if state is State.GONE:
                raise ClientDisconnected("The client is gone: its response has ended.")
            expected = " or ".join(map(repr, state.accepted)) or "nothing more"
            raise ApplicationError(
                f"Expected {expected}, but the application sent {kind!r} ({state.meaning})."
            )
        if kind == "http.response.body":
            data = message.get("body", b"")
            if not isinstance(data, bytes):
                if not isinstance(data, (bytearray, memoryview)):
                    raise ApplicationError(
                        f"http.response.body has a {type(data).__name__}: send bytes."
                    )
                data = bytes(data)
            await self._deliver(data, message.get("more_body", False))
        elif kind == "http.response.start":
            status = message["status"]
            if not isinstance(status, int) or not 200 <= status <= 599:
                raise ApplicationError(
                    f"http.response.start has status {status!r}: send an integer from 200 to 599."
                )
            headers = checked_headers(message.get("headers"))
            if status >= 500:
                self._answered = sys.exc_info()[1]
            self.state = State.RESPONSE
            self._sink.start(int(status), headers)  # an http.HTTPStatus has a text of its own
        else:
            # /var/task, /opt and /tmp are local disks: a read of one chunk is shorter than a
            # thread switch; other requests run between two chunks.
            with open(message["path"], "rb") as file:  # noqa: ASYNC230  as the comment says
                chunk = file.read(FILE_CHUNK)
                while following := file.read(FILE_CHUNK):
                    await self._deliver(chunk, more=True)
                    await asyncio.sleep(0)
                    chunk = following
            await self._deliver(chunk, more=False)

    async def _deliver(self, data: bytes, more: bool) -> None:
        try:
            if more:
                await self._sink.write(data)
                self._parts += 1
                if self._parts % PARTS == 0:
                    await asyncio.sleep(0)
            else:
                self._move(State.COMPLETE)
                await self._sink.end(data)
        except ClientDisconnected:
            self._move(State.GONE)
            raise

    def _move(self, state: State) -> None:
        """The response is over."""
        self.state = state
        self.ended_at = time.monotonic()
        if self._over is not None:
            self._over.set()

    def _fail(self, error: BaseException) -> None:
        if self.state is State.COMPLETE and error is not self._answered:
            logger.error("%s: error after the response was sent.", self.name, exc_info=error)
            return
        if self.state is State.GONE and not self.abandoned:
            logger.info("%s: ended after the client was gone: %s", self.name, described(error))
            return
        text = message_of(error) if isinstance(error, ApplicationError) else described(error)
        logger.error("%s: %s", self.name, text, exc_info=error)
        if self.state in (State.REQUEST, State.RESPONSE):
            self._move(State.GONE)
            self._sink.fail(500, "Internal Server Error", error)

    @property
    def name(self) -> str:
        """What log records call this request: method and path."""
        path = self.scope["path"]  # decoded: with a line break, a client could write records
        return f"{self.scope['method']} {path if path.isprintable() else ascii(path)}"


def checked_headers(headers: Iterable[Iterable[bytes]] | None) -> Headers:
    """Response headers as pairs of bytes with lower-case names; none where a message has none.

    Raises `ApplicationError` for a header that is no pair of bytes, for a name that is no token,
    and for CR, LF or NUL in a value: passed on, they would let a value from outside write headers
    of its own (RFC 9110, section 5.5).
    """
    checked: Headers = []
    for header in headers or ():
        try:
            name, value = header
        except (TypeError, ValueError):
            name = value = None  # type: ignore[assignment]  # refused by the next line
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise ApplicationError(
                f"Response header {header!r} is not a pair of bytes: send (name, value), both "
                "encoded."
            )
        if LF in value or CR in value or NUL in value:
            raise ApplicationError(
                f"Response header {name!r} with value {value!r} is refused: "
                "CR, LF and NUL are not allowed in a header's value."
            )
        checked.append((lower_name(name), value))
    return checked


@lru_cache(maxsize=512)
def lower_name(name: bytes) -> bytes:
    """A response header's name in lower case. Raises `ApplicationError` where it is no token."""
    if not name or name.translate(None, TOKEN):
        raise ApplicationError(
            f"Response header name {name!r} is refused: a name is letters, digits and "
            "!#$%&'*+-.^_`|~ (RFC 9110, section 5.6.2)."
        )
    return name.lower()
