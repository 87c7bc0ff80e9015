"""One connection as an event finds it: its kept handshake, its session, and its client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lamella.errors import ApplicationError, ClientDisconnected, StoreError
from lamella.types import Headers
from lamella.websocket.cycle import RunOver
from lamella.websocket.hub import SETTLING, Delivery, Hub, is_young
from lamella.websocket.management import encoded
from lamella.websocket.store import Document

CLOSE = None
"""What stands for a close among the messages that wait."""

ATTEMPTS = 20
"""How often a session is written again after another event has written it first."""

PAUSE = 0.02
"""Seconds at most before the second of these attempts; each one waits longer."""


class Connection:
    """The client of a run, and what outlives the run.

    `session` is the application's own dictionary. What a run has changed in it, key by key, is
    written by `save`; of two events that change one key at the same time the later one counts.
    """

    def __init__(
        self, hub: Hub, connection_id: str, document: Document, version: Any = None
    ) -> None:
        self.id = connection_id
        self.hub = hub
        self.document = document
        self.session: dict[str, Any] = document["session"]
        self.is_open = True
        self._version = version
        self._before = texts_of(self.session)
        self._writing = asyncio.Lock()

    @property
    def endpoint(self) -> str:
        """The URL in front of `/@connections`."""
        endpoint: str = self.hub.settings.websocket_endpoint or self.document["endpoint"]
        return endpoint

    async def accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Nothing: an earlier run has let the client in."""

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Close: the client is in, so it cannot be refused any more."""
        await self.close(1008, "")

    async def send(self, data: str | bytes) -> None:
        """Send a message, with the session kept before: the client's answer may come at once.

        Raises `ApplicationError`, `ClientDisconnected`, `RunOver`, `ConnectionsError`,
        `StoreError`.
        """
        payload = encoded(data, self.hub.settings.websocket_bytes)
        await self.save()
        delivery = await self.hub.post(self.endpoint, self.id, payload)
        if delivery is Delivery.DONE:
            return
        self.is_open = delivery is Delivery.NOT_YET
        if delivery is Delivery.FORGOTTEN:
            raise RunOver
        raise ClientDisconnected("The client is gone: API Gateway knows no such connection.")

    async def close(self, code: int, reason: str) -> None:
        """Close the connection and forget it. API Gateway has no way to say code and reason."""
        self.is_open = False
        await self.forget()
        await self.hang_up()

    async def hang_up(self) -> None:
        """Let API Gateway close the connection; $disconnect follows."""
        patience = SETTLING if is_young(self.document) else 0.0
        await self.hub.api.delete(self.endpoint, self.id, patience=patience)

    async def forget(self) -> None:
        """Take the connection from the store: the application knows of its end."""
        await self.hub.store.delete(self.id)

    async def send_waiting(self) -> None:
        """Send what the application sent before the answer to $connect was out (handler way).

        Of several events only the one that takes it from the store sends it. Raises as `send`.
        """
        store, document, version = self.hub.store, self.document, self._version
        while waiting := document.get("waiting"):
            left = {key: value for key, value in document.items() if key != "waiting"}
            if await store.replace(self.id, left, version):
                break
            row = await store.get(self.id)  # another event has written it
            if row is None:
                return
            document, version = row
        else:
            return
        self._version = None  # the store's next one is not known
        self.document.pop("waiting", None)
        for payload in waiting:
            if payload is CLOSE:
                await self.close(1000, "")
            else:
                await self.send(payload)

    async def save(self) -> None:
        """Keep what the run has changed in the session.

        Raises `ApplicationError` for what JSON cannot hold, `StoreError`.
        """
        async with self._writing:  # a second sender finds nothing left to do
            now = texts_of(self.session)
            changed = {key for key in now if now[key] != self._before.get(key)}
            removed = self._before.keys() - now.keys()
            if changed or removed:
                session = {key: json.loads(text) for key, text in now.items()}
                await self._write(session, changed, removed)
                self._before = now

    async def _write(self, session: Document, changed: set[str], removed: set[str]) -> None:
        store, mine = self.hub.store, session
        document, version = self.document, self._version
        for attempt in range(ATTEMPTS):
            if attempt > 1:
                import random  # 2 ms, and most sessions are written at once

                await asyncio.sleep(PAUSE * attempt * random.random())
            if version is not None:
                kept = {**document, "session": session}
                if await store.replace(self.id, kept, version):
                    self._version = None  # the store's next one is not known
                    return
            row = await store.get(self.id)
            if row is None:
                return  # the connection has ended meanwhile, and its session with it
            document, version = row
            left = {k: v for k, v in document["session"].items() if k not in removed}
            session = {**left, **{key: mine[key] for key in changed}}
        raise StoreError(
            f"The session of WebSocket {self.id} was not kept: other events wrote it {ATTEMPTS} "
            "times in between. Keep data that many events write in a database instead."
        )


def texts_of(session: dict[str, Any]) -> dict[str, str]:
    """Each value as JSON, to be compared: the application may change a value in place.

    Raises `ApplicationError` for what JSON cannot hold.
    """
    try:
        for key in session:
            if not isinstance(key, str):
                raise ValueError(f"its key {key!r} is not a string")
        return {key: json.dumps(value, sort_keys=True) for key, value in session.items()}
    except (TypeError, ValueError) as error:
        raise ApplicationError(
            f"The WebSocket's session cannot be kept: {error}. Put in only what JSON can hold."
        ) from error
