"""The ASGI application between a web server and a function that is behind a WebSocket API.

WebSockets become events, @connections sends back to them, and any other HTTP request goes to
the function as from an HTTP API: on AWS that is a second API, or CloudFront in front of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from lamella.front_doors import HttpApi
from lamella.front_doors.delivery import Function, whole
from lamella.front_doors.door import MAX_EVENT, Refused, json_response
from lamella.local.endpoints.event_line import EventLine, Report
from lamella.local.endpoints.gateway import Gateway, body_of, request_of, respond
from lamella.local.endpoints.websockets.api import WebSocketApi
from lamella.local.endpoints.websockets.client import GOING_AWAY, Client
from lamella.local.endpoints.websockets.events import Handshake, new_id
from lamella.local.endpoints.websockets.integration import Integration, refuse, troubled
from lamella.local.endpoints.websockets.management import Management
from lamella.local.endpoints.websockets.session import Session

CLOSING_GRACE = 2.0
"""Seconds in which connections are closed, and their events end, before the server stops."""


class WebSocketGateway:
    """`WebSocketGateway(...).app` is the ASGI application, for a LocalServer with
    `websockets=True`; `report` gets each event and request. Call
    `close()` before the server is stopped.

    The function signs what it sends with `credentials`, secrets by access key id, for `region`.
    """

    def __init__(
        self,
        function: Function,
        api: WebSocketApi,
        report: Report,
        credentials: Mapping[str, str],
        region: str,
    ) -> None:
        self._api = api
        self._report = report
        self._http = Gateway(function, HttpApi(), report)
        self._integration = Integration(function, api.time_limit, report)
        self._clients: dict[str, Client] = {}
        self._management = Management(self._clients, credentials, region, api.posts_per_second)
        self._sessions: set[asyncio.Task[None]] = set()
        self._closing = False

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket from its handshake to its end, or one HTTP request."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        raw_id = self._api.managed_id(scope["raw_path"].decode("latin-1"))
        if raw_id is None:
            await self._http.app(scope, receive, send)
            return
        try:
            body = await body_of(scope, receive, MAX_EVENT)  # what is longer is refused anyway
        except ClientDisconnect:
            return
        request = request_of(scope, body)
        response = await self._management.answer(request, raw_id)
        await respond(whole(response, request, []), send)

    async def close(self) -> None:
        """Take no more clients, and close those that there are; $disconnect follows for each."""
        self._closing = True
        clients = list(self._clients.values())
        tasks = [asyncio.ensure_future(client.close(*GOING_AWAY)) for client in clients]
        tasks += self._sessions
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        request = request_of(scope, b"").as_read()
        try:
            request = self._api.routed(request)
        except Refused as refused:
            refusal = EventLine("WEBSOCKET", request.raw_path, 403, because=str(refused))
            refusal.end(None, self._report)
            await refuse(troubled(refused.trouble), send)
            return
        if self._closing:
            await refuse(json_response(503, {"message": "Service Unavailable"}), send)
            return
        handshake = Handshake(new_id(), self._api.stage, request)
        client = Client(handshake, self._api, send)
        session = Session(client, self._api, self._integration)
        running = asyncio.ensure_future(session.run(scope["subprotocols"], receive, send))
        self._clients[handshake.connection_id] = client
        self._sessions.add(running)
        try:
            await running
        finally:
            self._sessions.discard(running)
            del self._clients[handshake.connection_id]
