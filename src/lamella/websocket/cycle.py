"""One run of the application over a WebSocket: for the handshake, or again for a later event.

States and what moves them (ASGI WebSocket 2.5,
https://asgi.readthedocs.io/en/latest/specs/www.html#websocket):

    CONNECTING ──websocket.accept──▶ CONNECTED ──websocket.close, client gone──▶ CLOSED
        │   └──http.response.start──▶ RESPONSE ──last http.response.body──▶ CLOSED
        └──websocket.close──▶ CLOSED
    any ──nothing left to receive, abandon()──▶ ENDED

A later event repeats what the application does before it first receives: its `accept` and its
greeting were delivered when the client connected, so this time they go nowhere. The run ends when
the application asks for what has not come: it is cancelled, and never told that the client left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

from lamella.asgi.http import FATAL, checked_headers
from lamella.errors import ApplicationError, ClientDisconnected
from lamella.life.leftovers import AnyTask
from lamella.types import ASGIApp, Headers, Message, Scope
from lamella.websocket.run_tasks import RunTasks, this_task

logger = logging.getLogger("lamella")

ABNORMAL = 1006
"""The close code for an end without a close frame (RFC 6455, section 7.1.5)."""


class RunOver(Exception):
    """The end of the connection was told in another run, so that nothing is left for this one."""


class Client(Protocol):
    """The other side of the connection. Its methods raise `ClientDisconnected` once it is gone."""

    async def accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Let the client in."""

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer the handshake with an HTTP response."""

    async def send(self, data: str | bytes) -> None:
        """Send one message. Raises `ApplicationError` for one that cannot be sent, `RunOver`."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""


class State(Enum):
    """Where the run is."""

    CONNECTING = "waiting for websocket.accept"
    CONNECTED = "connected"
    RESPONSE = "waiting for the rest of the response that refuses the client"
    CLOSED = "closed"
    ENDED = "ended"


class WebSocketCycle:
    """Runs the application over `scope`, with `incoming` to receive after websocket.connect.

    `inbox` are messages that do not come from the client: the application gets them from a
    channel layer (`receive_inbox`). `again`: the client was let in by an earlier run. `patience`
    is the seconds that other tasks of the application have to end their work after it has asked
    for more than there is.
    """

    def __init__(
        self,
        scope: Scope,
        client: Client,
        incoming: Iterable[Message] = (),
        inbox: Iterable[Message] = (),
        *,
        again: bool,
        patience: float,
    ) -> None:
        self.scope = scope
        self.state = State.CONNECTING
        self.error: BaseException | None = None  # what the application raised
        self.fatal: BaseException | None = None  # the error that ends the environment
        self.gone = False  # the client was found to be gone
        self.cancelled = False  # the run was cut short
        self._incoming = deque(incoming)
        self._inbox = deque(inbox)
        self._client = client
        self._again = again
        self._tasks = RunTasks(self.name, patience)
        self._greeting = True
        self._returned = False
        self._asked = False  # whether websocket.connect was given
        self._acceptor: AnyTask | None = None  # the task that sent the accept
        self._hungry = False  # whether it has asked the client for more than there is
        self._inbox_open = False  # whether it has asked for the inbox while there was one
        self._moved = asyncio.Event()
        self._starved = asyncio.Event()
        self._disconnect: Message | None = None
        self._response: tuple[int, Headers] | None = None
        self._body: list[bytes] = []

    async def run(self, app: ASGIApp) -> None:
        """Call the application until it returns, raises, or asks for what is not there.

        What it raised is in `error` and `fatal` afterwards. Cancelled, this cancels the
        application, and again each time; it returns when the application has ended.
        """
        task = asyncio.ensure_future(self._call(app))
        starved = asyncio.ensure_future(self._starve())
        while not task.done():
            try:
                await asyncio.wait((task, starved), return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    self.end()
                    await self._tasks.end(task)
            except asyncio.CancelledError:
                self.cancelled = True
                task.cancel()
        starved.cancel()
        await asyncio.wait((starved,))

    def end(self) -> None:
        """From here on what the application sends goes nowhere."""
        self._move(State.ENDED)

    async def _call(self, app: ASGIApp) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError as error:
            if self.state is not State.ENDED:
                self.error = error
        except BaseException as error:  # raised in a task, SystemExit would stop the event loop
            self.fatal = _fatal_in(error)
            self.error = error
        finally:
            self._returned = True

    @property
    def has_left(self) -> bool:
        """Whether the client has left, as far as this run was told."""
        return self.gone or self._disconnect is not None

    @property
    def repeats(self) -> bool:
        """Whether what the application does now was done when the client connected."""
        return self._again and self._greeting

    @property
    def cleans_up(self) -> bool:
        """Whether the application is being cancelled, although its connection goes on."""
        return self.state is State.ENDED and not self._returned

    # What the application calls

    async def receive(self) -> Message:
        """websocket.connect, then what has come; after the end of the connection its end."""
        self._tasks.take_part()
        if not self._asked:
            self._asked = True
            return {"type": "websocket.connect"}
        while self.state in (State.CONNECTING, State.RESPONSE):
            await self._change()
        if self.state is State.CONNECTED and self._greeting:
            await self._tasks.greeted(self._acceptor)
        if self.state is State.CLOSED:
            await asyncio.sleep(0)  # asked in an endless loop, it can be cancelled
            return self._disconnect or {"type": "websocket.disconnect", "code": ABNORMAL}
        self._greeting = False
        if self.state is State.ENDED or not self._incoming:
            self._hungry = True
            self._moved.set()
            if not self._inbox_open:
                self._starved.set()
            await self._tasks.starve()
        message = self._incoming.popleft()
        await asyncio.sleep(0)  # tasks that were just started come as far as they do by themselves
        if message["type"] == "websocket.disconnect":
            self._disconnect = message
            self._move(State.CLOSED)
        self._tasks.give()
        return message

    async def receive_inbox(self) -> Message:
        """The next message of the inbox, once the application waits for the client's next one.

        So it comes after everything that the application does when it connects.
        """
        self._inbox_open = bool(self._inbox) or self._inbox_open
        while self._inbox_open and not self._hungry:
            await self._change()
        if self._inbox:
            self._tasks.give()
            return self._inbox.popleft()
        if self._inbox_open:
            self._starved.set()
        await self._tasks.starve()
        raise AssertionError  # the run ends while this waits

    async def _change(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def send(self, message: Message) -> None:
        """Take one message of the application.

        Raises `ApplicationError` for a message that the state does not allow or that is
        malformed, `ClientDisconnected` (an OSError) once the client is gone.
        """
        self._tasks.take_part()
        with self.sending():
            await self._send(message["type"], message)

    def sending(self) -> AbstractContextManager[None]:
        """While the current task sends something, to whomever, the run goes on."""
        return self._tasks.sending()

    async def _send(self, kind: str, message: Message) -> None:
        if self.state is State.ENDED:
            if self._returned:
                self._tasks.leave()
            self._drop(kind)
        elif self.state is State.CONNECTING:
            await self._send_verdict(kind, message)
        elif self.state is State.CONNECTED and kind in ("websocket.send", "websocket.close"):
            await self._send_on(kind, message)
        elif self.state is State.RESPONSE and kind == "websocket.http.response.body":
            await self._send_response(message)
        elif self.state is State.CLOSED and self.has_left:
            if kind != "websocket.close":  # closing what is closed, in a `finally`, is no mistake
                raise ClientDisconnected("The client is gone: its WebSocket is closed.")
        else:
            raise self._unexpected(kind)

    def _unexpected(self, kind: str) -> ApplicationError:
        return ApplicationError(
            f"Expected {_EXPECTED[self.state]}, but the application sent {kind!r} "
            f"({self.state.value})."
        )

    # What its messages come to

    async def _send_verdict(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            self._acceptor = this_task()
            if not self._again:
                subprotocol = message.get("subprotocol") or None
                headers = _accept_headers(subprotocol, message.get("headers") or ())
                await self._client.accept(subprotocol, headers)
            self._move(State.CONNECTED)
        elif kind == "websocket.close":
            self._move(State.CLOSED)
            await self._client.refuse(403, [], b"")
        elif kind == "websocket.http.response.start":
            status, headers = message["status"], checked_headers(message.get("headers") or ())
            self._response = status, headers
            self._move(State.RESPONSE)
        else:
            raise self._unexpected(kind)

    async def _send_response(self, message: Message) -> None:
        self._body.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        assert self._response is not None
        self._move(State.CLOSED)
        await self._client.refuse(*self._response, b"".join(self._body))

    async def _send_on(self, kind: str, message: Message) -> None:
        if kind == "websocket.close":
            self._move(State.CLOSED)
            await self._client.close(*_code_and_reason(message))
            return
        data = _data(message)
        if self.repeats:
            return
        try:
            await self._client.send(data)
        except ClientDisconnected:
            self.gone = True
            self._move(State.CLOSED)
            raise
        except RunOver:
            self._starved.set()
            await self._tasks.starve()

    def _drop(self, kind: str) -> None:
        if kind == "websocket.send":
            logger.warning(
                "%s: what the application sent after its run had ended was dropped.", self.name
            )

    @property
    def name(self) -> str:
        """What log records call this run."""
        path = self.scope["path"]  # decoded: with a line break, a client could write records
        return f"WEBSOCKET {path if path.isprintable() else ascii(path)}"

    def _move(self, state: State) -> None:
        if self.state is not State.ENDED:
            self.state = state
        self._moved.set()

    # The end of a run

    async def _starve(self) -> None:
        """Return when the application has asked for more than there is and has no work left."""
        await self._starved.wait()
        if self._tasks.were_given_something:
            await self._tasks.quiet()


_EXPECTED = {
    State.CONNECTING: "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'",
    State.CONNECTED: "'websocket.send' or 'websocket.close'",
    State.RESPONSE: "'websocket.http.response.body'",
    State.CLOSED: "nothing more",
}


def _accept_headers(subprotocol: str | None, headers: Iterable[Iterable[bytes]]) -> Headers:
    """The headers of an accept, checked; the subprotocol is in none of them but its own."""
    checked = checked_headers(headers)
    if subprotocol is None:
        return checked
    try:
        checked_headers([(b"sec-websocket-protocol", subprotocol.encode("ascii"))])
    except (AttributeError, UnicodeEncodeError):
        raise ApplicationError(
            f"websocket.accept has subprotocol {subprotocol!r}: send one of those that the client "
            "offered, as ASCII text."
        ) from None
    return [pair for pair in checked if pair[0] != b"sec-websocket-protocol"]


def _fatal_in(error: BaseException) -> BaseException | None:
    """The error that ends the environment, where it is this one or in this group of them."""
    if isinstance(error, FATAL):
        return error
    held = getattr(error, "exceptions", ())
    return next((found for each in held if (found := _fatal_in(each))), None)


def _code_and_reason(message: Message) -> tuple[int, str]:
    return message.get("code", 1000), message.get("reason") or ""


def _data(message: Message) -> str | bytes:
    text, data = message.get("text"), message.get("bytes")
    if isinstance(text, str):
        return text
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise ApplicationError(
        f"websocket.send has text {text!r} and bytes {data!r}: send a str or bytes in one of them."
    )
