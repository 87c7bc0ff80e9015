"""What every WebSocket of this process shares: the settings, the store, the @connections API.

There is one hub for each event loop: sockets cannot be used from another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator
from enum import Enum
from typing import Protocol

from lamella.aws.client import AwsClient
from lamella.errors import ClientDisconnected, StoreError
from lamella.served import Served
from lamella.settings import Settings
from lamella.websocket.management import ManagementApi
from lamella.websocket.store import Document, Store
from lamella.websocket.stores import open_store

LIFETIME = 2 * 3600 + 600
"""Seconds that a handshake is kept: API Gateway ends every connection after two hours, and its
$disconnect may come late, or never
(https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-limits.html)."""

SETTLING = 3.0
"""Seconds after the answer to $connect in which API Gateway may not know the connection yet."""

CONNECTING = 30.0
"""Seconds after the application has accepted in which the answer may still be on its way: API
Gateway waits 29 for an integration."""


class Delivery(Enum):
    """What became of a message to a connection."""

    DONE = "API Gateway has it, or it waits for the answer to $connect"
    NOT_YET = "API Gateway does not know the connection, which is so young that it may soon"
    GONE = "the client is gone, and its $disconnect has not been served"
    FORGOTTEN = "the client is gone, and its end was served elsewhere"


class Connecting(Protocol):
    """A client that this process is about to answer: `handshake.Handshake`."""

    @property
    def endpoint(self) -> str:
        """The URL in front of `/@connections`."""

    async def deliver(self, payload: bytes) -> Delivery:
        """Send what is encoded already, or let it wait for the answer."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, or let that wait for the answer."""

    async def keep(self) -> None:
        """Put the handshake into the store before it is accepted."""


class Hub:
    """The store and the @connections API of one event loop. Raises `StoreError`."""

    def __init__(self, served: Served | None, settings: Settings) -> None:
        if not settings.websocket_store:
            raise StoreError(
                "ASGI_WEBSOCKET_STORE is not set, and without it no WebSocket can be served: "
                "events of one connection come to several environments. Set it to a URL such as "
                "dynamodb://table, and make the table with `lamella websocket init URL`."
            )
        self.served = served
        self.settings = settings
        self.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        self.store: Store = open_store(settings.websocket_store)
        self.api = ManagementApi(AwsClient(), self.region)
        self.connecting: dict[str, Connecting] = {}
        """The handshakes that this process is about to answer, by connection id."""
        self.disconnecting: set[str] = set()
        """The connections whose $disconnect this process is serving."""

    async def post(self, endpoint: str, connection_id: str, payload: bytes) -> Delivery:
        """Send to a connection. Raises `ConnectionsError`, `StoreError`.

        Where API Gateway does not know the connection, the store says what that means: without a
        row its end was served elsewhere; a young row may not have come to API Gateway yet, so
        that is asked again; else the client is gone.
        """
        if connecting := self.connecting.get(connection_id):
            return await connecting.deliver(payload)
        with contextlib.suppress(ClientDisconnected):
            await self.api.post(endpoint, connection_id, payload)
            return Delivery.DONE
        row = await self.store.get(connection_id)
        if row is None:
            return Delivery.FORGOTTEN
        if is_young(row.document):
            with contextlib.suppress(ClientDisconnected):
                await self.api.post(endpoint, connection_id, payload, patience=SETTLING)
                return Delivery.DONE
            return Delivery.NOT_YET
        if not row.document["accepted"]:  # a client that was not let in has no $disconnect
            await self.store.delete(connection_id)
        return Delivery.GONE

    async def endpoint_of(self, connection_id: str) -> str | None:
        """The @connections URL of a connection, None where the connection is not known."""
        if self.settings.websocket_endpoint:
            return self.settings.websocket_endpoint
        if connecting := self.connecting.get(connection_id):
            return connecting.endpoint
        row = await self.store.get(connection_id)
        return (row.document.get("endpoint") or None) if row is not None else None

    async def close(self) -> None:
        """Close the connections to the store and to API Gateway."""
        await self.store.close()
        await self.api.close()


def is_young(document: Document) -> bool:
    """Whether a kept handshake is so new that API Gateway may not have finished it."""
    age: float = time.time() - document["kept_at"]
    return age < CONNECTING


_hubs: dict[asyncio.AbstractEventLoop, list[Hub]] = {}
"""By event loop; more than one only where several adapters share a loop."""

_closings: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
"""What closes a loop's hubs when the loop ends."""


def hub_of(served: Served | None, settings: Settings) -> Hub:
    """The running event loop's hub for an application, made on first use. Raises `StoreError`."""
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
    hubs = _hubs[loop]
    for hub in hubs:
        if hub.served is served and hub.settings == settings:
            return hub
    hubs.append(Hub(served, settings))
    return hubs[-1]


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


async def close() -> None:
    """Close what the running event loop's hubs hold open."""
    for hub in _hubs.pop(asyncio.get_running_loop(), []):
        await hub.close()
