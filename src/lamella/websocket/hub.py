"""What every WebSocket of this process shares: the settings, the store, the client.

There is one hub for each event loop: connections cannot be used from another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from lamella.aws.client import AwsClient
from lamella.errors import ClientDisconnected, StoreError
from lamella.served import Served, get_served
from lamella.websocket.management import Connections
from lamella.websocket.opening import open_store
from lamella.websocket.store import Document, Row, Store

if TYPE_CHECKING:
    from lamella.settings import Settings
    from lamella.websocket.connection import Connection
    from lamella.websocket.cycle import WebSocketCycle
    from lamella.websocket.handshake import Handshake

LIFETIME = 2 * 3600 + 600
"""Seconds that a handshake is kept: API Gateway ends every connection after two hours, and its
$disconnect may come late, or never
(https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-limits.html)."""

SETTLING = 3.0
"""Seconds after the answer to $connect in which API Gateway may not know the connection yet."""

CONNECTING = 30.0
"""Seconds after the application has accepted in which the answer may still be on its way: API
Gateway waits 29 for an integration."""


class Current(NamedTuple):
    """A WebSocket run that goes on: its connection and its cycle."""

    connection: Connection
    cycle: WebSocketCycle


current_run: ContextVar[Current | None] = ContextVar("lamella.websocket", default=None)
"""The WebSocket run that the current task belongs to."""


class Delivery(Enum):
    """What became of a message to a connection."""

    DONE = "API Gateway has it, or it waits for the answer to $connect"
    NOT_YET = "API Gateway does not know the connection, which is so young that it may soon"
    GONE = "the client is gone, and its $disconnect has not been served"
    FORGOTTEN = "the client is gone, and its end was served elsewhere"


class Hub:
    """The store and the @connections client of one event loop. Raises `StoreError`."""

    def __init__(self, served: Served | None, settings: Settings) -> None:
        if not settings.websocket_store:
            raise StoreError(_NO_STORE)
        self.served = served
        self.settings = settings
        self.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        self.store: Store = open_store(settings.websocket_store)
        self.connections = Connections(AwsClient(), self.region)
        self.connecting: dict[str, Handshake] = {}
        """The handshakes that this process is about to answer, by connection id."""
        self.leaving: set[str] = set()
        """The connections whose end this process is serving."""

    async def post(self, endpoint: str, connection_id: str, data: bytes) -> Delivery:
        """Send to a connection. Raises `ConnectionsError`, `StoreError`."""
        if connecting := self.connecting.get(connection_id):
            return await connecting.deliver(data)
        try:
            await self.connections.post(endpoint, connection_id, data)
        except ClientDisconnected:
            return await self._post_again(endpoint, connection_id, data)
        return Delivery.DONE

    async def _post_again(self, endpoint: str, connection_id: str, data: bytes) -> Delivery:
        """API Gateway does not know the connection: it is gone, or not quite there yet."""
        row = await self.store.get(connection_id)
        if row is None:
            return Delivery.FORGOTTEN
        if is_young(row.document):
            try:
                await self.connections.post(endpoint, connection_id, data, patience=SETTLING)
            except ClientDisconnected:
                return Delivery.NOT_YET
            return Delivery.DONE
        if not row.document["accepted"]:  # whoever was not let in has no $disconnect
            await self.store.delete(connection_id)
        return Delivery.GONE

    async def endpoint_of(self, connection_id: str) -> str | None:
        """The @connections URL of a connection, None where the connection is not known."""
        if self.settings.websocket_endpoint:
            return self.settings.websocket_endpoint
        if connecting := self.connecting.get(connection_id):
            return connecting.endpoint
        row = await self.store.get(connection_id)
        return endpoint_in(row)

    async def close(self) -> None:
        """Close the connections to the store and to API Gateway."""
        await self.store.close()
        await self.connections.close()


def is_young(document: Document) -> bool:
    """Whether a kept handshake is so new that API Gateway may not have finished it."""
    age: float = time.time() - document["kept_at"]
    return age < CONNECTING


def endpoint_in(row: Row | None) -> str | None:
    """The @connections URL that a row holds."""
    endpoint: Any = row.document.get("endpoint") if row is not None else None
    return endpoint or None


_hubs: dict[asyncio.AbstractEventLoop, list[Hub]] = {}
"""By event loop; more than one only where several adapters share a loop."""


def here(served: Served | None = None) -> Hub:
    """The hub of the running event loop for an application, made on first use.

    Without `served`: the one of the run that goes on, or of the process's application; where
    Lamella serves none, in a script for example, the environment's settings count. Raises
    `StoreError` where no store is named, `SettingError` for one that is wrong.
    """
    run = current_run.get()
    if served is None and run is not None:
        return run.connection.hub
    served = served or get_served()
    settings = served.settings if served is not None else _settings()
    hubs = _of_running_loop()
    for hub in hubs:
        if hub.served is served and hub.settings == settings:
            return hub
    hubs.append(Hub(served, settings))
    return hubs[-1]


def _settings() -> Settings:
    from lamella.settings import from_environ

    return from_environ(os.environ)


def _of_running_loop() -> list[Hub]:
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        for table in (_hubs, _closings):
            for other in [each for each in table if each.is_closed()]:
                del table[other]
        _hubs[loop] = []
        if loop not in _closings:
            _closings[loop] = _until_shutdown()
            with contextlib.suppress(StopIteration):  # to its yield: from there the loop knows it
                _closings[loop].__anext__().send(None)
    return _hubs[loop]


async def _until_shutdown() -> AsyncGenerator[None, None]:
    """Closes the hubs when the loop shuts its generators down, as asyncio.run() does at its end.

    A script's asyncio.run(lamella.websocket.send(...)) makes a loop for each call, and a connection
    cannot be closed any more when its loop is.
    """
    try:
        yield
    finally:
        _closings.pop(asyncio.get_running_loop(), None)
        await close()


_closings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}


async def close() -> None:
    """Close what the running event loop's hubs hold open."""
    for hub in _hubs.pop(asyncio.get_running_loop(), []):
        await hub.close()


_NO_STORE = (
    "ASGI_WEBSOCKET_STORE is not set, and without it no WebSocket can be served: events of one "
    "connection come to several environments. Set it to a URL such as dynamodb://table, and make "
    "the table with `lamella websocket init URL`."
)
