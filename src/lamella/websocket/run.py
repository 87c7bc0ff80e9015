"""One WebSocket event served: a run of the application, and what comes of it.

$connect     the application decides; accepted, its handshake is kept
message      the kept handshake, connected again, with one message to receive
$disconnect  the same with the end of the connection, after which it is forgotten
"""

from __future__ import annotations

import asyncio
import logging
import time

from lamella.asgi.http import FATAL
from lamella.errors import (
    ClientDisconnected,
    InvocationError,
    LamellaError,
    ResponseTooLarge,
    WebSocketError,
)
from lamella.invocation import Invocation
from lamella.ports import Outcome
from lamella.response.sinks import plain
from lamella.served import Served
from lamella.sources import websocket as codec
from lamella.sources.preparation import add_traceparent
from lamella.types import ASGIApp, Event, Message, Request, Response, Result, Scope
from lamella.websocket.conclusion import conclude, log_error, no_verdict
from lamella.websocket.connection import Connection
from lamella.websocket.current import Current, current_run, here
from lamella.websocket.cycle import RunOver, WebSocketCycle
from lamella.websocket.endpoints import endpoint_of
from lamella.websocket.handshake import CLOSE, Handshake
from lamella.websocket.hub import Hub
from lamella.websocket.scopes import scope_of
from lamella.websocket.store import Document

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
        self._served = served
        self._invocation = invocation
        self._event = event
        self._context = event["requestContext"]
        self._outcome = outcome
        self._cycle: WebSocketCycle | None = None
        self._kind: str = self._context["eventType"]
        self._id = codec.connection_id(event)
        self._document: Document = codec.document(request, event) if request else {}
        self._incoming = _incoming(event)
        self.scope: Scope = {}  # of the application's run, once that has begun

    @property
    def name(self) -> str:
        """What log records call this event."""
        return f"WEBSOCKET {self._kind} {self._id}"

    async def run(self, app: ASGIApp) -> None:
        """Serve the event and answer it. Whatever goes wrong ends in an answer and a log record."""
        try:
            await self._serve(here(self._served), app)
        except FATAL as error:
            self.fatal = error
            self.ended_at = time.monotonic()
            logger.critical("%s: the application ends the environment.", self.name, exc_info=error)
            return
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

    async def _serve(self, hub: Hub, app: ASGIApp) -> None:
        if self._kind == codec.CONNECT:
            await self._connect(hub, app)
        else:
            await self._go_on(hub, app)

    # $connect

    async def _connect(self, hub: Hub, app: ASGIApp) -> None:
        self._document["endpoint"] = self._endpoint(hub)
        at_once = self._outcome.at_once
        handshake = Handshake(hub, self._id, self._document, self._answer, at_once)
        hub.connecting[self._id] = handshake
        try:
            cycle = await self._run_app(app, handshake, again=False)
            if not self.abandoned:
                await self._finish(cycle, handshake)
        finally:
            del hub.connecting[self._id]
            await handshake.withdraw()

    async def _finish(self, cycle: WebSocketCycle, handshake: Handshake) -> None:
        """The end of a $connect: whatever the application has left open."""
        if handshake.answered or (cycle.error is None and handshake.is_open):
            await conclude(cycle, handshake, self.name)
            await handshake.finish()
        else:
            log_error(cycle.error or no_verdict(), self.name)
            await handshake.refuse(500, [], b"Internal Server Error")

    def _endpoint(self, hub: Hub) -> str:
        endpoint = hub.settings.websocket_endpoint
        return endpoint or endpoint_of(self._context, hub.region)

    # message and $disconnect

    async def _go_on(self, hub: Hub, app: ASGIApp) -> None:
        row = await hub.store.get(self._id)
        if row is None:
            await self._without_handshake(hub)
            return
        connection = Connection(hub, self._id, *row)
        if self._kind == codec.DISCONNECT:
            await self._leave(hub, app, connection)
            return
        await self._deliver_waiting(connection)
        if connection.is_open:
            await self._run_again(app, connection)
        self._answer(200)  # where the connection is closed already

    async def _leave(self, hub: Hub, app: ASGIApp, connection: Connection) -> None:
        """Forget the connection, and from its groups, before the application hears of its end."""
        connection.is_open = False
        hub.disconnecting.add(self._id)
        try:
            await hub.store.delete(self._id)
            await self._run_again(app, connection)
        finally:
            hub.disconnecting.discard(self._id)

    async def _run_again(self, app: ASGIApp, connection: Connection) -> None:
        cycle = await self._run_app(app, connection, again=True)
        succeeded = await conclude(cycle, connection, self.name)
        self._answer(200 if succeeded else 500)

    async def _without_handshake(self, hub: Hub) -> None:
        """A connection that is not in the store: closed by the application, or lost."""
        if self._kind == codec.DISCONNECT:
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

    async def _deliver_waiting(self, connection: Connection) -> None:
        """Send what the application sent before its answer was out (handler way).

        Of several events only the one that takes it from the store delivers it.
        """
        try:
            for payload in await connection.take_waiting():
                if payload is CLOSE:
                    await connection.close(1000, "")
                else:
                    await connection.send(payload)
        except RunOver:
            return
        except (ClientDisconnected, WebSocketError) as error:
            log_error(error, self.name)

    # both

    async def _run_app(
        self,
        app: ASGIApp,
        connection: Connection,
        again: bool,
    ) -> WebSocketCycle:
        event, context, trace_id = self._invocation
        kind = self._kind.lower()
        scope = scope_of(self._served, connection, kind, self._context, event, context)
        if self._served.settings.traceparent:
            add_traceparent(scope["headers"], trace_id)
        self.scope = scope
        patience = self._served.settings.background_timeout
        incoming = self._incoming
        cycle = WebSocketCycle(scope, connection, incoming, again=again, patience=patience)
        self._cycle = cycle
        current_run.set(Current(connection, cycle))
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
        if any(status in failing for failing in self._served.settings.error_status):
            self._outcome.fail(InvocationError(f"{self.name}: answered {status}."))
        else:
            status = self._send(status, result)
        self.status = status
        self.ended_at = time.monotonic()

    def _send(self, status: int, result: Result) -> int:
        """Send a result; the status that API Gateway gets."""
        empty = codec.encode(Response(status, [], b""), self._event, ())
        try:
            self._outcome.send(result or empty)
        except ResponseTooLarge as error:
            logger.error("%s: %s", self.name, error)
            self._outcome.send(empty)
        return status


def _incoming(event: Event) -> list[Message]:
    """What the application is to receive in this event. Raises `BadEvent`."""
    kind = event["requestContext"]["eventType"]
    if kind == codec.CONNECT:
        return []
    return [codec.disconnect(event) if kind == codec.DISCONNECT else codec.message(event)]
