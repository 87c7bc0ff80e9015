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
from lamella.local.config import FunctionConfig
from lamella.local.runtime_api.extensions import Extensions
from lamella.local.runtime_api.http11 import (
    ACCEPTED,
    ApiError,
    ApiResponse,
    ApiServer,
    ServerConnection,
)
from lamella.local.runtime_api.invocation import Invocation
from lamella.local.runtime_api.states import RuntimeState, RuntimeStates
from lamella.local.runtime_api.traffic import Traffic
from lamella.local.waits import first_of

ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")

INVOCATION = "/2018-06-01/runtime/invocation"

Handler = Callable[[ServerConnection, str], Awaitable[ApiResponse | None]]
"""Answers a request, given the part of its path that is a parameter; None: the peer has left."""


class Api:
    """Both APIs for one process, from its start to its end, on the port of `server`."""

    def __init__(
        self, config: FunctionConfig, traffic: Traffic, extensions: Extensions | None = None
    ) -> None:
        self.config = config
        self.server = ApiServer(self._exchange)
        self.extensions = Extensions() if extensions is None else extensions
        self.states = RuntimeStates()
        self.idle = asyncio.Event()
        self.init_failed = asyncio.Event()
        self.init_error: dict[str, Any] | None = None
        self._traffic = traffic
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self.route("GET", "/2018-06-01/ping", self.ping)
        self.route("POST", "/2020-01-01/extension/register", self.register)
        self.route("GET", "/2020-01-01/extension/event/next", self.event_next)
        self.route("POST", "/2020-01-01/extension/(?:init|exit)/error", self.extension_error)

    @property
    def waiting(self) -> bool:
        """Whether the runtime waits for something new to do."""
        raise NotImplementedError

    def dispatch(self, invocation: Invocation) -> None:
        """Hand `invocation` to the runtime."""
        raise NotImplementedError

    def restore(self) -> None:
        """Answer /restore/next, where the runtime waits in it."""

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Answer `path`, a regular expression with at most one group, with `handler`."""
        self._routes.append((method, re.compile(path), handler))

    def settle(self) -> None:
        """Something now waits for its next event: note whether all of them do."""
        if self.waiting and self.extensions.all_waiting:
            self.idle.set()

    def fail_init(self, error: dict[str, Any]) -> None:
        """The init phase, or the restore, has failed."""
        self.init_error = error
        self.init_failed.set()

    async def _exchange(self, connection: ServerConnection) -> bool:
        """One request and its response; whether the connection lives on."""
        exchange = await connection.request()
        if exchange is None:
            return False
        self._traffic.append(exchange)
        response: ApiResponse | None
        response = ApiResponse(404, b"404 page not found\n", (("Content-Type", "text/plain"),))
        for allowed, pattern, handler in self._routes:
            if match := pattern.fullmatch(exchange.path):
                if exchange.method != allowed:
                    response = ApiResponse(405, headers=(("Allow", allowed),))
                    break
                try:
                    response = await handler(connection, match[1] if pattern.groups else "")
                except ApiError as error:
                    response = error.response
                break
        return response is not None and await connection.respond(response)

    async def ping(self, _connection: ServerConnection, _: str) -> ApiResponse:
        """A leftover of the real API that tells whether it is there."""
        return ApiResponse(200, b"pong", (("Content-Type", "text/plain; charset=utf-8"),))

    async def register(self, connection: ServerConnection, _: str) -> ApiResponse:
        """A new extension."""
        body = await connection.whole_body()
        header = connection.exchange.header
        extension = self.extensions.register(header("lambda-extension-name"), body)
        about = {
            "functionName": self.config.name,
            "functionVersion": "$LATEST",
            "handler": self.config.handler,
        }
        if header("lambda-extension-accept-feature") == "accountId":
            about["accountId"] = ACCOUNT_ID
        identifier = ("Lambda-Extension-Identifier", extension.identifier)
        return ApiResponse.json(200, about, identifier)

    async def event_next(self, connection: ServerConnection, _: str) -> ApiResponse | None:
        """An extension waits for its next event, without any limit."""
        identifier = connection.exchange.header("lambda-extension-identifier")
        extension = self.extensions.identify(identifier)
        waiting: asyncio.Future[ApiResponse] = asyncio.get_running_loop().create_future()
        extension.waiting = waiting
        self.settle()
        if not await handed(waiting, connection):
            if extension.waiting is waiting:
                extension.waiting = None
                self.idle.clear()
            return None
        return waiting.result()

    async def extension_error(self, connection: ServerConnection, _: str) -> ApiResponse:
        """An extension reports that it failed: in the init phase, that ends it."""
        header = connection.exchange.header
        extension = self.extensions.identify(header("lambda-extension-identifier"))
        body = await connection.whole_body()
        if self.states.state is RuntimeState.STARTED:
            given = header("lambda-extension-function-error-type")
            error = parse_error(body, given or "Extension.Unknown")
            error.setdefault("errorMessage", f"extension {extension.name} failed")
            self.fail_init(error)
        return ACCEPTED


async def handed(waiting: asyncio.Future[Any], connection: ServerConnection) -> bool:
    """Wait, without any limit, until `waiting` has its value; False if the peer left before."""
    await first_of(asyncio.wait([waiting]), connection.peer_closed())
    return waiting.done()


async def reported_error(
    connection: ServerConnection, unknown: str
) -> tuple[dict[str, Any], bytes]:
    """The error that a request to .../error carries, and its bytes; `unknown` stands for an
    error type that is not one of Lambda's."""
    body = await connection.whole_body()
    given = connection.exchange.header("lambda-runtime-function-error-type")
    return parse_error(body, given if ERROR_TYPE.fullmatch(given) else unknown), body
