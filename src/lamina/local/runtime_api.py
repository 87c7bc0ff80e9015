"""The Runtime API and the Extensions API of one runtime process.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. The environment calls
`dispatch`; the runtime's /next takes the invocation out, and its /response or /error writes
into the invocation's answer. `idle` is set while the runtime and all its extensions hang in
their /next and nothing is left to do: the moment at which Lambda freezes the sandbox.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import h11

from .api_server import ApiServer
from .config import ACCOUNT_ID, FunctionConfig
from .extensions import Extensions
from .http11 import Connection, Truncated
from .invocation import Invocation, parse_error
from .replies import Refused, Reply, accepted, json_reply
from .states import RuntimeStates, State
from .traffic import Traffic
from .waits import first_of

MAX_PAYLOAD = 6 * 1024 * 1024 + 100
"""Bytes of a buffered response: 6,291,556."""

ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")

Handler = Callable[[Connection, str], Awaitable["Reply | None"]]


class RuntimeApi:
    """Both APIs for one process, from its start to its end, on the port of `server`."""

    def __init__(self, config: FunctionConfig, traffic: Traffic) -> None:
        self._config = config
        self._traffic = traffic
        self._states = RuntimeStates()
        self._pending: Invocation | None = None
        self._current: Invocation | None = None
        self._broken: dict[str, Any] | None = None
        self._next: asyncio.Future[Invocation] | None = None
        self.server = ApiServer(self._exchange)
        self.extensions = Extensions()
        self.idle = asyncio.Event()
        self.init_failed = asyncio.Event()
        self.init_error: dict[str, Any] | None = None
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = [
            ("GET", re.compile("/2018-06-01/ping()"), self._ping),
            ("GET", re.compile("/2018-06-01/runtime/invocation/next()"), self._get_next),
            ("POST", re.compile("/2018-06-01/runtime/invocation/([^/]+)/response"), self._response),
            ("POST", re.compile("/2018-06-01/runtime/invocation/([^/]+)/error"), self._error),
            ("POST", re.compile("/2018-06-01/runtime/init/error()"), self._init_error),
            ("POST", re.compile("/2020-01-01/extension/register()"), self._register),
            ("GET", re.compile("/2020-01-01/extension/event/next()"), self._event_next),
            ("POST", re.compile("/2020-01-01/extension/(?:init|exit)/error()"), self._ext_error),
        ]

    def dispatch(self, invocation: Invocation) -> None:
        """Hand `invocation` to the runtime, now or when it next asks."""
        self._pending = invocation
        self.idle.clear()
        self.extensions.announce(invocation)
        if self._next is not None:
            self._next.set_result(self._take(invocation))
            self._next = None

    # Requests

    async def _exchange(self, connection: Connection) -> bool:
        """One request and its answer; whether the connection lives on."""
        exchange = await connection.request()
        if exchange is None:
            return False
        self._traffic.append(exchange)
        try:
            reply = await self._route(connection)
        except Refused as refused:
            reply = refused.reply
        if reply is None:
            return False
        await connection.discard()
        return await connection.reply(reply)

    async def _route(self, connection: Connection) -> Reply | None:
        method, path = connection.exchange.method, connection.exchange.path
        for allowed, pattern, handler in self._routes:
            if match := pattern.fullmatch(path):
                if method != allowed:
                    return Reply(405, headers=(("Allow", allowed),))
                return await handler(connection, match[1])
        return Reply(404, b"404 page not found\n", (("Content-Type", "text/plain"),))

    # The Runtime API

    async def _ping(self, _connection: Connection, _: str) -> Reply:
        return Reply(200, b"pong", (("Content-Type", "text/plain; charset=utf-8"),))

    async def _get_next(self, connection: Connection, _: str) -> Reply | None:
        if self._states.state is State.RUNNING and self._current is not None:
            return _event_reply(self._current)  # asked again before it answered: the same event
        self._states.move(State.READY)
        self.extensions.closed = True
        if self._current is not None and self._broken is not None:
            await self._current.answer.fail(self._broken)
        self._current = self._broken = None
        if self._pending is not None:
            return _event_reply(self._take(self._pending))
        waiting: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._next = waiting
        self._settle()
        if not await _handed(waiting, connection):
            if self._next is waiting:
                self._next = None
                self.idle.clear()
            return None
        return _event_reply(waiting.result())

    async def _response(self, connection: Connection, request_id: str) -> Reply:
        invocation = self._matching(connection, request_id)
        mode = connection.exchange.header("lambda-runtime-function-response-mode")
        if mode not in ("", "streaming"):
            message = "Invalid function response mode"
            raise Refused(400, "InvalidFunctionResponseMode", message)
        self._states.move(State.RESPONDING)
        try:
            receive = self._stream if mode else self._buffer
            return await receive(connection, invocation)
        except (Truncated, h11.RemoteProtocolError) as error:
            # Mostly the process died, and its exit will say more; a living one calls /next.
            self._broken = _failure("Runtime.TruncatedResponse", f"The response broke off: {error}")
            raise Refused(
                400, "TruncatedHTTPRequest", "HTTP request detected as truncated"
            ) from error
        finally:
            self._states.move(State.ANSWERED)

    async def _buffer(self, connection: Connection, invocation: Invocation) -> Reply:
        answer, body = invocation.answer, bytearray()
        size = 0
        async for piece in connection.body():
            size += len(piece)
            if size <= MAX_PAYLOAD:
                body += piece
        if size > MAX_PAYLOAD:
            message = (
                f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
                f"({MAX_PAYLOAD} bytes)."
            )
            await answer.fail(_failure("Function.ResponseSizeTooLarge", message))
            message = f"Exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes)."
            raise Refused(413, "RequestEntityTooLarge", message)
        answer.begin(False, _content_type(connection))
        await answer.write(bytes(body))
        answer.end()
        return accepted()

    async def _stream(self, connection: Connection, invocation: Invocation) -> Reply:
        answer = invocation.answer
        answer.begin(True, _content_type(connection))
        async for piece in connection.body():
            await answer.write(piece)
        answer.end(connection.exchange.trailers)
        return accepted()

    async def _error(self, connection: Connection, request_id: str) -> Reply:
        invocation = self._matching(connection, request_id)
        self._states.move(State.FAILING)
        try:
            body = b"".join([piece async for piece in connection.body()])
            error = parse_error(body, _error_type(connection, "Function.Unknown"))
            await invocation.answer.fail(error, body)
        finally:
            self._states.move(State.ANSWERED)
        return accepted()

    async def _init_error(self, connection: Connection, _: str) -> Reply:
        self._states.move(State.INIT_ERROR)
        body = b"".join([piece async for piece in connection.body()])
        self.init_error = parse_error(body, _error_type(connection, "Runtime.Unknown"))
        self.init_failed.set()
        return accepted()

    def _matching(self, connection: Connection, request_id: str) -> Invocation:
        current = self._current
        nonce = connection.exchange.header("lambda-runtime-invocation-id")
        if current is None or current.request_id != request_id:
            raise Refused(400, "InvalidRequestID", "Invalid request ID")
        if nonce and nonce != current.invocation_id:
            # A late answer to an earlier attempt that had the same request id.
            raise Refused(400, "InvalidRequestID", "Invalid request ID")
        return current

    # The Extensions API

    async def _register(self, connection: Connection, _: str) -> Reply:
        body = b"".join([piece async for piece in connection.body()])
        name = connection.exchange.header("lambda-extension-name")
        extension = self.extensions.register(name, body)
        about = {
            "functionName": self._config.name,
            "functionVersion": "$LATEST",
            "handler": self._config.handler,
        }
        if connection.exchange.header("lambda-extension-accept-feature") == "accountId":
            about["accountId"] = ACCOUNT_ID
        return json_reply(200, about, ("Lambda-Extension-Identifier", extension.identifier))

    async def _event_next(self, connection: Connection, _: str) -> Reply | None:
        identifier = connection.exchange.header("lambda-extension-identifier")
        extension = self.extensions.identify(identifier)
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        extension.waiting = waiting
        self._settle()
        if not await _handed(waiting, connection):
            if extension.waiting is waiting:
                extension.waiting = None
                self.idle.clear()
            return None
        return waiting.result()

    async def _ext_error(self, connection: Connection, _: str) -> Reply:
        identifier = connection.exchange.header("lambda-extension-identifier")
        extension = self.extensions.identify(identifier)
        body = b"".join([piece async for piece in connection.body()])
        error_type = connection.exchange.header("lambda-extension-function-error-type")
        if self._states.state is State.STARTED:
            self.init_error = parse_error(body, error_type or "Extension.Unknown")
            self.init_error.setdefault("errorMessage", f"extension {extension.name} failed")
            self.init_failed.set()
        return accepted()

    # What both share

    def _take(self, pending: Invocation) -> Invocation:
        self._current, self._pending = pending, None
        self._states.move(State.RUNNING)
        return pending

    def _settle(self) -> None:
        """Note the moment at which nobody has anything left to do."""
        if self._next is not None and self.extensions.all_waiting and self._pending is None:
            self.idle.set()


async def _handed(waiting: asyncio.Future[Any], connection: Connection) -> bool:
    """Wait, without any limit, until `waiting` has its value; False if the peer left before."""
    await first_of(_done(waiting), connection.peer_closed())
    return waiting.done()


async def _done(future: asyncio.Future[Any]) -> None:
    await asyncio.wait([future])


def _event_reply(invocation: Invocation) -> Reply:
    return Reply(200, invocation.event, invocation.headers())


def _content_type(connection: Connection) -> str:
    return connection.exchange.header("content-type") or "application/octet-stream"


def _error_type(connection: Connection, unknown: str) -> str:
    given = connection.exchange.header("lambda-runtime-function-error-type")
    return given if ERROR_TYPE.fullmatch(given) else unknown


def _failure(error_type: str, message: str) -> dict[str, Any]:
    return {"errorType": error_type, "errorMessage": message}
