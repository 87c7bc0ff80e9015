"""One client's events: $connect, one for each message, $disconnect.

Messages are no queue: each is an event of its own as soon as it is there, and several may run
at a time, in different environments.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from starlette.types import Message, Receive, Send

from lamella.front_doors.door import Trouble
from lamella.local.websockets.api import WebSocketApi
from lamella.local.websockets.calls import Failed, Integration
from lamella.local.websockets.connection import GOING_AWAY, Connection, Gone, State
from lamella.local.websockets.events import connect_event, disconnect_event, message_event
from lamella.local.websockets.handshakes import (
    chosen_subprotocol,
    is_accepted,
    refusal,
    refuse,
    troubled,
)

NO_STATUS = (1005, "Client-side close frame status not set")
"""What AWS says of a close frame without a code (seen in its events)."""

ABNORMAL_CLOSURE = (1006, "")
"""The client is gone without a close frame: RFC 6455, section 7.1.5."""

UNSUPPORTED_DATA = (1003, "Unsupported Data")
"""AWS takes no binary frames."""


class Session:
    """`await Session(connection, api, integration).run(...)`: from the handshake to the end."""

    def __init__(self, connection: Connection, api: WebSocketApi, integration: Integration) -> None:
        self._connection = connection
        self._api = api
        self._integration = integration
        self._events: set[asyncio.Task[None]] = set()

    async def run(self, offered: list[str], receive: Receive, send: Send) -> None:
        """Returns when every event is done; `offered` are the client's subprotocols."""
        if not await self._connect(offered, send):
            return
        try:
            await self._disconnect(*await self._messages(receive))
            if self._events:
                await asyncio.wait(self._events)
        finally:
            for event in self._events:
                event.cancel()

    async def _connect(self, offered: list[str], send: Send) -> bool:
        """Send $connect and answer the handshake; whether the client is in."""
        try:
            result = await self._integration.result(connect_event(self._connection.handshake))
        except Failed as failed:
            await refuse(troubled(failed.trouble), send)
            return False
        if not is_accepted(result):
            await refuse(refusal(result), send)
            return False
        with contextlib.suppress(Gone):  # the function has let it in: $disconnect follows
            await self._connection.accept(chosen_subprotocol(result, offered))
        return True

    async def _messages(self, receive: Receive) -> tuple[int, str]:
        """Make an event of each message; the code and the reason of the end."""
        expiring = asyncio.ensure_future(self._expire())
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await self._message(message)
            return _ending(message)
        finally:
            expiring.cancel()
            self._connection.end()

    async def _message(self, message: Message) -> None:
        if self._connection.state is not State.OPEN:
            return  # it came together with what the connection was closed for
        self._connection.touch()
        if (text := message.get("text")) is None:
            await self._connection.close(*UNSUPPORTED_DATA)
            return
        event = asyncio.ensure_future(self._event(text))
        self._events.add(event)
        event.add_done_callback(self._events.discard)

    async def _event(self, text: str) -> None:
        """The event of a message. Its result goes nowhere: there are no route responses."""
        event = message_event(self._connection.handshake, self._api.route_key(text), text)
        try:
            await self._integration.result(event)
        except Failed as failed:
            timed_out = failed.trouble is Trouble.TIMEOUT
            words = {
                "message": "Endpoint request timed out" if timed_out else "Internal server error",
                "connectionId": self._connection.handshake.connection_id,
                "requestId": event["requestContext"]["requestId"],
            }
            with contextlib.suppress(Gone):
                await self._connection.post(json.dumps(words))

    async def _disconnect(self, code: int, reason: str) -> None:
        with contextlib.suppress(Failed):
            event = disconnect_event(self._connection.handshake, code, reason)
            await self._integration.result(event)

    async def _expire(self) -> None:
        left = self._connection.left()
        while left > 0:
            await asyncio.sleep(left)
            left = self._connection.left()
        await self._connection.close(*GOING_AWAY)


def _ending(message: Message) -> tuple[int, str]:
    """Code and reason of a websocket.disconnect; uvicorn's has a reason but for lost clients."""
    if "reason" not in message:
        return ABNORMAL_CLOSURE
    if message["code"] == NO_STATUS[0]:
        return NO_STATUS
    return message["code"], message["reason"]
