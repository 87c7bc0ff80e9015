"""The connection of a $connect event: what the application decides becomes the event's answer.

API Gateway knows the connection only when it has the answer. What is sent before waits: on the
bootstrap way the answer leaves while the application runs, and what waits follows it; on the
handler way it is kept, and the connection's first message brings it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from lamella.errors import ClientDisconnected
from lamella.sources import websocket as codec
from lamella.types import Headers, Response
from lamella.websocket.connection import CLOSE, Connection, texts_of
from lamella.websocket.hub import LIFETIME, SETTLING, Delivery, Hub
from lamella.websocket.management import encoded
from lamella.websocket.store import Document

logger = logging.getLogger("lamella")


class Handshake(Connection):
    """A client that is not in yet.

    `answer` takes the status and the result of the event; `at_once` says whether they leave
    before the application has ended.
    """

    def __init__(
        self,
        hub: Hub,
        connection_id: str,
        document: Document,
        answer: Callable[[int, Any], None],
        at_once: bool,
    ) -> None:
        super().__init__(hub, connection_id, {**document, "accepted": False, "kept_at": 0.0})
        self.answered = False
        self.is_open = False
        self._answer = answer
        self._at_once = at_once
        self._kept = False
        self._result: Any = None
        self._answered_at = 0.0  # by time.monotonic()
        self._waiting: list[str | None] = []

    async def accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Keep the handshake, and answer where that leaves at once. Raises `StoreError`."""
        self._result = codec.accepted(subprotocol, self._allowed(headers))
        if self._at_once:
            await self._let_in()
            for payload in self._waiting:
                if payload is CLOSE:
                    await super().close(1000, "")
                    return
                await self.deliver(payload.encode())
        else:
            self.is_open = True

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with an HTTP response, which no status of success can be."""
        if 200 <= status < 300:
            logger.error(
                "The application refuses WebSocket %s with status %d, which would let the client "
                "in: the client gets 403 instead. Refuse with a status of 300 or more.",
                self.id,
                status,
            )
            status = 403
        self.answered = True
        response = Response(status, self._allowed(headers), body)
        self._answer(status, codec.encode(response, {}, self.hub.settings.text_types))
        if self._kept:  # the application has put it into a group before
            await self.hub.store.delete(self.id)

    async def send(self, data: str | bytes) -> None:
        """Send a message, or let it wait. Raises as `Connection.send`."""
        payload = encoded(data, self.hub.settings.websocket_bytes)
        await self.save()
        if await self.deliver(payload) is not Delivery.DONE:
            raise ClientDisconnected("The client is gone: it did not wait for its handshake.")

    async def deliver(self, payload: bytes) -> Delivery:
        """Send what is encoded already, or let it wait."""
        if not self.answered:
            self._waiting.append(payload.decode())
            return Delivery.DONE
        left = self._answered_at + SETTLING - time.monotonic()
        try:
            await self.hub.api.post(self.endpoint, self.id, payload, patience=max(left, 0.0))
        except ClientDisconnected:
            self.is_open = False
        return Delivery.DONE if self.is_open else Delivery.NOT_YET

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, or let that wait."""
        if self.answered:
            await super().close(code, reason)
        else:
            self._waiting.append(CLOSE)

    async def withdraw(self) -> None:
        """Forget the handshake of a client that was not let in."""
        if self._kept and not self.answered:
            await self.hub.store.delete(self.id)

    async def keep(self) -> None:
        """Keep the handshake before it is accepted: what is in a group has to be known."""
        async with self._writing:
            if not self._kept:
                await self._put()

    async def save(self) -> None:
        """Keep what has changed in the session since the handshake was kept."""
        if self.answered:
            await super().save()

    async def finish(self) -> None:
        """After the run: let the client in, where the answer could not leave before."""
        if self.is_open and not self.answered:
            if self._waiting:
                self.document["waiting"] = self._waiting
            await self._let_in()

    def _allowed(self, headers: Headers) -> Headers:
        return [pair for pair in headers if pair[0] not in self.hub.settings.exclude_headers]

    async def _let_in(self) -> None:
        async with self._writing:  # after what keeps it before it is accepted
            self.document["accepted"] = True
            await self._put()
        self.is_open = self.answered = True
        self._answered_at = time.monotonic()
        self._answer(200, self._result)

    async def _put(self) -> None:
        self._kept = True
        self.document["kept_at"] = time.time()
        self._before = texts_of(self.session)
        await self.hub.store.put(self.id, self.document, int(time.time()) + LIFETIME)
