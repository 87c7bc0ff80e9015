"""One run of the application over a WebSocket: for the handshake, or again for a later event.

States and what moves them (ASGI WebSocket 2.5,
https://asgi.readthedocs.io/en/latest/specs/www.html#websocket):

    CONNECTING ──websocket.accept──▶ GREETING ──receive()──▶ CONNECTED
        │   │                            └──────────┬────────────┘
        │   │                                       ├──websocket.close──▶ CLOSED
        │   │                                       └──$disconnect, client gone──▶ LEFT
        │   └──http.response.start──▶ RESPONSE ──last http.response.body──▶ CLOSED
        └──websocket.close──▶ CLOSED
    any ──nothing left to receive, end()──▶ ENDED

`_TABLE` has what the application may send in each of them. A later event repeats CONNECTING and
GREETING: what is sent there was delivered when the client connected, so this time it goes nowhere.
The run ends when the application asks for what has not come and its tasks rest (tasks.py): it is
cancelled, and never told that the client left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import NoReturn, Protocol

from lamella.asgi.http import checked_headers
from lamella.errors import FATAL, ApplicationError, ClientDisconnected
from lamella.life.leftovers import AnyTask
from lamella.types import ASGIApp, Headers, Message, Scope
from lamella.websocket.tasks import RunTasks

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
    """Where a WebSocket is in its run, as the application knows it."""

    CONNECTING = "waiting for websocket.accept"
    GREETING = "connected, and not waiting for a message yet"
    CONNECTED = "connected"
    RESPONSE = "waiting for the rest of the response that refuses the client"
    CLOSED = "closed"
    LEFT = "left by the client"
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
        self.gone = False  # the client was found to be gone
        self.cancelled = False  # the run was cut short
        self._incoming = deque([{"type": "websocket.connect"}, *incoming])
        self._inbox = deque(inbox)
        self._client = client
        self._again = again
        self._application: AnyTask | None = None
        self._tasks = RunTasks(self.name, patience)
        self._asked = asyncio.Event()  # for more than there is
        self._moved = asyncio.Event()
        self._disconnect: Message | None = None
        self._refusal: tuple[int, Headers, list[bytes]] | None = None

    async def run(self, app: ASGIApp) -> None:
        """Call the application until it returns, raises, or asks for what is not there.

        What it raised is in `error` afterwards. Cancelled, this cancels the application, and again
        each time; it returns when the application has ended.
        """
        self._application = task = asyncio.ensure_future(self._call(app))
        over = asyncio.ensure_future(self._over())
        while not task.done():
            try:
                await asyncio.wait((task, over), return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    self.end()
                    await self._tasks.end(task)
            except asyncio.CancelledError:
                self.cancelled = True
                task.cancel()
        over.cancel()
        await asyncio.wait((over,))

    def end(self) -> None:
        """From here on what the application sends goes nowhere."""
        self._move(State.ENDED)

    async def _call(self, app: ASGIApp) -> None:
        try:
            await app(self.scope, self.receive, self.send)
            if self.state in (State.CONNECTING, State.RESPONSE):
                raise ApplicationError(
                    "The application returned without accepting the WebSocket or refusing it."
                )
        except asyncio.CancelledError as error:
            if self.state is not State.ENDED:
                self.error = error
        except BaseException as error:  # raised in a task, SystemExit would stop the event loop
            self.error = error

    async def _over(self) -> None:
        """Return when the application has asked for more than there is, and all its tasks rest."""
        await self._asked.wait()
        if self._tasks.given or self._inbox:
            await self._tasks.all_rest()

    @property
    def name(self) -> str:
        """What log records call this run."""
        path = self.scope["path"]  # decoded: with a line break, a client could write records
        return f"WEBSOCKET {path if path.isprintable() else ascii(path)}"

    @property
    def fatal(self) -> BaseException | None:
        """The error that ends the environment, where the application raised one."""
        return None if self.error is None else _fatal_in(self.error)

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed the WebSocket, and the run was not cut short."""
        return self.state not in (State.CLOSED, State.LEFT, State.ENDED)

    @property
    def has_left(self) -> bool:
        """Whether the client has left, as far as this run was told."""
        return self.gone or self._disconnect is not None

    @property
    def repeats(self) -> bool:
        """Whether what the application does now was done when the client connected."""
        return self._again and self.state in (State.CONNECTING, State.GREETING)

    @property
    def cleans_up(self) -> bool:
        """Whether the application is being cancelled, although its connection goes on."""
        return self.state is State.ENDED and not self._has_returned()

    # What the application calls

    async def receive(self) -> Message:
        """websocket.connect, then what has come; after the end of the connection its end."""
        self._tasks.take_part()
        if self._incoming and self._incoming[0]["type"] == "websocket.connect":
            return self._incoming.popleft()
        while self.state in (State.CONNECTING, State.RESPONSE):
            await self._change()
        if self.state is State.GREETING:
            await self._tasks.settle()
            if self.state is State.GREETING:
                self._move(State.CONNECTED)
        if self.state in (State.CLOSED, State.LEFT):
            await asyncio.sleep(0)  # asked in an endless loop, it can be cancelled
            return self._disconnect or {"type": "websocket.disconnect", "code": ABNORMAL}
        if self.state is State.ENDED or not self._incoming:
            await self._ask()
        message = self._incoming.popleft()
        if message["type"] == "websocket.disconnect":
            self._disconnect = message
            self._move(State.LEFT)
        self._tasks.give()
        return message

    async def receive_inbox(self) -> Message:
        """The next message of the inbox, once the application waits for the client's next one.

        So it comes after everything that the application does when it connects.
        """
        while self._inbox and not self._asked.is_set():
            await self._change()
        if not self._inbox:
            await self._tasks.rest()
        self._tasks.give()
        return self._inbox.popleft()

    async def send(self, message: Message) -> None:
        """Take one message of the application.

        Raises `ApplicationError` for a message that the state does not allow or that is
        malformed, `ClientDisconnected` (an OSError) once the client is gone.
        """
        self._tasks.take_part()
        kind, takes = message["type"], _TABLE[self.state]
        with self.sending():
            if take := takes.get(kind):
                await take(self, message)
                return
            await asyncio.sleep(0)  # as in `receive`
            if self.state is State.ENDED:
                if self._has_returned():
                    self._tasks.leave()
                if kind == "websocket.send":
                    logger.warning(
                        "%s: what the application sent after its run had ended was dropped.",
                        self.name,
                    )
            elif self.state is State.LEFT:
                if kind == "websocket.close":
                    return  # closing what is closed, in a `finally`, is no mistake
                raise ClientDisconnected("The client is gone: its WebSocket is closed.")
            else:
                *most, last = map(repr, takes) if takes else ["nothing more"]
                expected = f"{', '.join(most)} or {last}" if most else last
                raise ApplicationError(
                    f"Expected {expected}, but the application sent {kind!r} ({self.state.value})."
                )

    def sending(self) -> AbstractContextManager[None]:
        """While the current task sends something, to any client, the run goes on."""
        return self._tasks.sending()

    # What its messages come to

    async def _accept(self, message: Message) -> None:
        self._tasks.accept()
        if not self._again:
            subprotocol = message.get("subprotocol") or None
            headers = _accept_headers(subprotocol, message.get("headers") or ())
            await self._client.accept(subprotocol, headers)
        self._move(State.GREETING)

    async def _start_response(self, message: Message) -> None:
        headers = checked_headers(message.get("headers"))
        self._refusal = message["status"], headers, []
        self._move(State.RESPONSE)

    async def _continue_response(self, message: Message) -> None:
        assert self._refusal is not None
        status, headers, body = self._refusal
        body.append(message.get("body", b""))
        if message.get("more_body", False):
            await asyncio.sleep(0)  # as in `receive`
        else:
            self._move(State.CLOSED)
            await self._client.refuse(status, headers, b"".join(body))

    async def _send(self, message: Message) -> None:
        text, data = message.get("text"), message.get("bytes")
        payload = text if isinstance(text, str) else data
        if not isinstance(payload, (str, bytes, bytearray, memoryview)):
            raise ApplicationError(
                f"websocket.send has text {text!r} and bytes {data!r}: send a str or bytes in one "
                "of them."
            )
        if self.repeats:
            return
        try:
            await self._client.send(payload if isinstance(payload, str) else bytes(payload))
        except ClientDisconnected:
            self.gone = True
            self._move(State.LEFT)
            raise
        except RunOver:
            await self._ask()

    async def _close(self, message: Message) -> None:
        was_in = self.state is not State.CONNECTING
        self._move(State.CLOSED)
        if was_in:
            await self._client.close(message.get("code", 1000), message.get("reason") or "")
        else:
            await self._client.refuse(403, [], b"")

    # The state

    def _move(self, state: State) -> None:
        if self.state is not State.ENDED:
            self.state = state
        self._moved.set()

    async def _change(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def _ask(self) -> NoReturn:
        """Ask for more than there is."""
        self._asked.set()
        self._moved.set()
        await self._tasks.rest()
        raise AssertionError  # the run ends while this waits

    def _has_returned(self) -> bool:
        return self._application is not None and self._application.done()


_TABLE: Mapping[State, Mapping[str, Callable[[WebSocketCycle, Message], Awaitable[None]]]] = {
    State.CONNECTING: {
        "websocket.accept": WebSocketCycle._accept,
        "websocket.close": WebSocketCycle._close,
        "websocket.http.response.start": WebSocketCycle._start_response,
    },
    State.GREETING: {
        "websocket.send": WebSocketCycle._send,
        "websocket.close": WebSocketCycle._close,
    },
    State.CONNECTED: {
        "websocket.send": WebSocketCycle._send,
        "websocket.close": WebSocketCycle._close,
    },
    State.RESPONSE: {"websocket.http.response.body": WebSocketCycle._continue_response},
    State.CLOSED: {},
    State.LEFT: {},
    State.ENDED: {},
}
"""What the application may send in each state, and what that comes to."""


def _accept_headers(subprotocol: str | None, headers: Iterable[Iterable[bytes]]) -> Headers:
    """The headers of an accept, checked; only `subprotocol` names the subprotocol."""
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
