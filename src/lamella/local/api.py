"""What the Runtime API and the Extensions API of every kind of environment have in common.

A subclass adds the routes of /runtime; here is how a request finds its route, and everything of
/extension. `idle` is set at the first moment at which init is complete, and `init_failed` when
the runtime has reported that it is not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from lamella.front_doors.answer import parse_error
from lamella.front_doors.door import ACCOUNT_ID
from lamella.local.api_server import ApiServer
from lamella.local.config import FunctionConfig
from lamella.local.extensions import Extensions
from lamella.local.http11 import Connection
from lamella.local.invocation import Invocation
from lamella.local.replies import Refused, Reply, accepted, json_reply
from lamella.local.traffic import Traffic
from lamella.local.waits import first_of

ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")

Handler = Callable[[Connection, str], Awaitable["Reply | None"]]


class Api:
    """Both APIs for one process, from its start to its end, on the port of `server`."""

    def __init__(
        self,
        config: FunctionConfig,
        traffic: Traffic,
        extensions: Extensions | None = None,
    ) -> None:
        self._config = config
        self._traffic = traffic
        self.server = ApiServer(self._exchange)
        self.extensions = Extensions() if extensions is None else extensions
        self.idle = asyncio.Event()
        self.init_failed = asyncio.Event()
        self.init_error: dict[str, Any] | None = None
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._route("GET", "/2018-06-01/ping", self._ping)
        self._route("POST", "/2020-01-01/extension/register", self._register)
        self._route("GET", "/2020-01-01/extension/event/next", self._event_next)
        self._route("POST", "/2020-01-01/extension/(?:init|exit)/error", self._ext_error)

    @property
    def in_init(self) -> bool:
        """Whether the runtime has neither asked for an event nor reported an error."""
        raise NotImplementedError

    def dispatch(self, invocation: Invocation) -> None:
        """Hand `invocation` to the runtime."""
        raise NotImplementedError

    def restore(self) -> None:
        """Answer /restore/next, where the runtime waits in it."""

    def _route(self, method: str, path: str, handler: Handler) -> None:
        """Answer `path`, a regular expression with at most one group, with `handler`."""
        self._routes.append((method, re.compile(path), handler))

    def _settle(self) -> None:
        """Something now waits for its next event: note whether all of them do."""
        raise NotImplementedError

    async def _exchange(self, connection: Connection) -> bool:
        """One request and its answer; whether the connection lives on."""
        exchange = await connection.request()
        if exchange is None:
            return False
        self._traffic.append(exchange)
        try:
            reply = await self._answer(connection)
        except Refused as refused:
            reply = refused.reply
        if reply is None:
            return False
        await connection.discard()
        return await connection.reply(reply)

    async def _answer(self, connection: Connection) -> Reply | None:
        method, path = connection.exchange.method, connection.exchange.path
        for allowed, pattern, handler in self._routes:
            if match := pattern.fullmatch(path):
                if method != allowed:
                    return Reply(405, headers=(("Allow", allowed),))
                return await handler(connection, match[1] if pattern.groups else "")
        return Reply(404, b"404 page not found\n", (("Content-Type", "text/plain"),))

    async def _ping(self, _connection: Connection, _: str) -> Reply:
        return Reply(200, b"pong", (("Content-Type", "text/plain; charset=utf-8"),))

    async def _register(self, connection: Connection, _: str) -> Reply:
        body = await whole_body(connection)
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
        if not await handed(waiting, connection):
            if extension.waiting is waiting:
                extension.waiting = None
                self.idle.clear()
            return None
        return waiting.result()

    async def _ext_error(self, connection: Connection, _: str) -> Reply:
        identifier = connection.exchange.header("lambda-extension-identifier")
        extension = self.extensions.identify(identifier)
        body = await whole_body(connection)
        given = connection.exchange.header("lambda-extension-function-error-type")
        if self.in_init:
            error = parse_error(body, given or "Extension.Unknown")
            error.setdefault("errorMessage", f"extension {extension.name} failed")
            self._fail_init(error)
        return accepted()

    def _fail_init(self, error: dict[str, Any]) -> None:
        self.init_error = error
        self.init_failed.set()


async def handed(waiting: asyncio.Future[Any], connection: Connection) -> bool:
    """Wait, without any limit, until `waiting` has its value; False if the peer left before."""
    await first_of(_done(waiting), connection.peer_closed())
    return waiting.done()


async def whole_body(connection: Connection) -> bytes:
    """The body of a request that has no limit of its own."""
    return b"".join([piece async for piece in connection.body()])


async def reported_error(connection: Connection, unknown: str) -> tuple[dict[str, Any], bytes]:
    """The error that a request to .../error carries, and its bytes; `unknown` stands for an
    error type that is not one of Lambda's."""
    body = await whole_body(connection)
    given = connection.exchange.header("lambda-runtime-function-error-type")
    return parse_error(body, given if ERROR_TYPE.fullmatch(given) else unknown), body


async def _done(future: asyncio.Future[Any]) -> None:
    await asyncio.wait([future])
