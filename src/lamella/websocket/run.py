"""One WebSocket event served. And how all of this room works.

THE MODEL. API Gateway holds the connections and calls the function once for each event, each time
perhaps in another environment. An ASGI application knows one long-lived call. So every event is a
fresh run of the application over a stored handshake, up to the point where the application asks
for what has not come:

    $connect     the application decides; its decision is the event's result, and an accepted
                 handshake is put into the store
    message      the stored handshake, connected again, with one message to receive
    $disconnect  the same with the end of the connection to receive; before that, the handshake and
                 its group memberships are taken from the store
    channel      no event of API Gateway's: a message from a channel layer, sent in any event, runs
                 the application of each connection that it is for (application.py)

WHAT IS STORED (store.py): one document for each connection, under API Gateway's connection id: what
the scope is made of (path, query, headers, client, authorizer), the @connections endpoint,
`accepted` and `kept_at`, the application's `session`, and on the handler way what was sent before
the answer was out (`waiting`). Groups are memberships beside it. All of it expires two hours after
the handshake, with API Gateway's connections.

CONNECTING AGAIN (cycle.py). Every run begins with websocket.connect. In a later event `accept` goes
nowhere, and so does what is sent before the first receive(): the client has had this greeting.
Group memberships, and what the application sends to others by lamella.websocket, are part of the
greeting and swallowed with it (current.is_repeated).

THE END OF A RUN (tasks.py). A run is over when the application has returned or raised, or when it
has asked for more than there is and every other task of the run waits where a task waited when the
message came. Then the application is cancelled: it is never told of a disconnect that is not true.

THE ORDER OF WRITES. (1) The handshake is in the store before its answer leaves, or the client's
first message would find nothing. (2) The session is written before anything leaves, key by key and
conditionally: a client's answer may be quicker than the end of the run. (3) The session is written
at the end of the run, where something has changed since. (4) What is sent before the answer to
$connect waits for it (handshake.py), because API Gateway knows the connection only then.

THE END OF A CONNECTION is told to the application once, by an event that knows it for certain:
$disconnect, or a 410 in the connection's own run that the application takes for the end (it
returns). The event that tells it deletes the row. Any other run that meets a 410, or closes a
connection, leaves the row for $disconnect. A run that meets a 410 and finds no row ends without a
word (RunOver): the end was told in the run beside it. A connection younger than 30 seconds may not
have come to API Gateway yet, so there a 410 means to ask again (hub.post).

ERRORS. An error of the application closes its connection, as servers do. An error of the store or
of API Gateway costs the event, and the connection stays (application.conclude).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from lamella.errors import (
    FATAL,
    BadEvent,
    ClientDisconnected,
    InvocationError,
    LamellaError,
    ResponseTooLarge,
    WebSocketError,
)
from lamella.invocation import Invocation
from lamella.response.sinks import plain
from lamella.served import Served
from lamella.sources import fields
from lamella.sources import websocket as codec
from lamella.types import ASGIApp, Message, Request, Response, Result, Scope
from lamella.websocket.application import conclude, log_error, open_cycle
from lamella.websocket.connection import Connection
from lamella.websocket.current import here
from lamella.websocket.cycle import RunOver, WebSocketCycle
from lamella.websocket.endpoints import endpoint_of
from lamella.websocket.handshake import Handshake
from lamella.websocket.hub import Hub

if TYPE_CHECKING:
    from lamella.ports import Outcome

logger = logging.getLogger("lamella")


class WebSocketRun:
    """Serves one event; `request` is the handshake of a $connect event, None for others.

    Raises `BadEvent`.
    """

    def __init__(
        self, served: Served, invocation: Invocation, outcome: Outcome, request: Request | None
    ) -> None:
        event = invocation.event
        self.ended_at = 0.0
        self.status = 0
        self.fatal: BaseException | None = None
        self.abandoned = False
        self.scope: Scope = {}  # of the application's run, once that has begun
        self._served = served
        self._invocation = invocation
        self._event = event
        self._context = event["requestContext"]
        self._outcome = outcome
        self._cycle: WebSocketCycle | None = None
        self._kind: str = self._context["eventType"]
        self._id = codec.connection_id(event)
        self._route_key = fields.text(self._context, "routeKey") or None
        self._document = codec.document(request, event) if request else {}
        self._incoming: list[Message] = []
        if self._kind != codec.CONNECT:
            ends = self._kind == codec.DISCONNECT
            self._incoming.append(codec.disconnect(event) if ends else codec.message(event))

    @property
    def name(self) -> str:
        """What log records call this event."""
        return f"WEBSOCKET {self._kind} {self._id}"

    async def run(self, app: ASGIApp) -> None:
        """Serve the event and answer it. Whatever goes wrong ends in an answer and a log record."""
        try:
            hub = here(self._served)
            await (self._connect if self._kind == codec.CONNECT else self._go_on)(hub, app)
        except FATAL as error:
            self.fatal = error
            self.ended_at = time.monotonic()
            logger.critical("%s: the application ends the environment.", self.name, exc_info=error)
            return
        except BadEvent as error:
            logger.warning("Malformed event (%s): %s", "websocket", error)
            self._answer_plain(error.status, "Bad Request: the event is malformed.")
        except LamellaError as error:
            logger.error("%s: %s", self.name, error)
        except asyncio.CancelledError:
            if not self.abandoned:
                raise
        self._answer_plain(500, "Internal Server Error")  # where there is no answer yet

    def abandon(self, status: int, reason: str) -> None:
        """Answer in the application's place; what it sends from here on goes nowhere."""
        self.abandoned = True
        if self._cycle is not None:
            self._cycle.end()
        self._answer_plain(status, reason)

    async def _connect(self, hub: Hub, app: ASGIApp) -> None:
        """Let the application decide, and answer with what it says."""
        self._document["endpoint"] = self._endpoint(hub)
        at_once = self._outcome.at_once
        handshake = Handshake(hub, self._id, self._document, self._answer, at_once)
        hub.connecting[self._id] = handshake
        try:
            cycle = await self._run_app(app, handshake)
            if self.abandoned:
                return
            if handshake.answered or (cycle.error is None and handshake.is_open):
                await conclude(cycle, handshake, self.name)
                await handshake.finish()
            else:
                if cycle.error is not None:
                    log_error(cycle.error, self.name)
                await handshake.refuse(500, [], b"Internal Server Error")
        finally:
            del hub.connecting[self._id]
            await handshake.withdraw()

    async def _go_on(self, hub: Hub, app: ASGIApp) -> None:
        """Serve a message or a $disconnect over the kept handshake."""
        row, ends = await hub.store.get(self._id), self._kind == codec.DISCONNECT
        if row is None:
            await self._without_handshake(hub, ends)
            return
        connection = Connection(hub, self._id, *row)
        if not ends:
            try:
                await connection.send_waiting()
            except RunOver:
                pass
            except (ClientDisconnected, WebSocketError) as error:
                log_error(error, self.name)
            if not connection.is_open:
                self._answer(200)
                return
        try:
            if ends:  # forgotten, in its groups too, before the application hears of it
                connection.is_open = False
                hub.disconnecting.add(self._id)
                await hub.store.delete(self._id)
            cycle = await self._run_app(app, connection)
            succeeded = await conclude(cycle, connection, self.name)
            self._answer(200 if succeeded else 500)
        finally:
            hub.disconnecting.discard(self._id)

    async def _without_handshake(self, hub: Hub, ends: bool) -> None:
        """A connection that is not in the store: closed by the application, or lost."""
        if ends:
            await hub.store.delete(self._id)  # memberships may be left
            self._answer(200)
            return
        logger.warning(
            "%s: its handshake is not in the store, so it is closed and its client has to connect "
            "again. Either the application closed it, or the store lost it.",
            self.name,
        )
        await hub.api.delete(self._endpoint(hub), self._id)
        self._answer(410)

    def _endpoint(self, hub: Hub) -> str:
        endpoint = hub.settings.websocket_endpoint
        return endpoint or endpoint_of(self._context, hub.region)

    async def _run_app(self, app: ASGIApp, connection: Connection) -> WebSocketCycle:
        self._cycle = cycle = open_cycle(
            self._served,
            connection,
            self._kind.lower(),
            self._invocation,
            incoming=self._incoming,
            route_key=self._route_key,
        )
        self.scope = cycle.scope
        await cycle.run(app)
        if cycle.fatal is not None:
            raise cycle.fatal
        return cycle

    def _answer_plain(self, status: int, reason: str) -> None:
        self._answer(status, codec.encode(plain(status, reason), self._event, ()))

    def _answer(self, status: int, result: Result = None) -> None:
        """Send the event's result, the first one that there is."""
        if self.status:
            return
        empty = codec.encode(Response(status, [], b""), self._event, ())
        if any(status in failing for failing in self._served.settings.error_status):
            self._outcome.fail(InvocationError(f"{self.name}: answered {status}."))
        else:
            try:
                self._outcome.send(result or empty)
            except ResponseTooLarge as error:
                logger.error("%s: %s", self.name, error)
                self._outcome.send(empty)
        self.status = status
        self.ended_at = time.monotonic()
