"""One client's events: $connect, one for each message, $disconnect.

Messages are no queue: each is an event of its own as soon as it is there, and several may run
at a time, in different environments.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

from starlette.types import Receive, Send

from lamella.front_doors.door import Trouble
from lamella.local.endpoints.websockets.api import WebSocketApi
from lamella.local.endpoints.websockets.client import GOING_AWAY, Client, ClientState, Gone
from lamella.local.endpoints.websockets.events import connect_event, disconnect_event, message_event
from lamella.local.endpoints.websockets.integration import Failed, Integration, refuse, troubled

NO_STATUS = (1005, "Client-side close frame status not set")
"""What AWS says of a close frame without a code (seen in its events)."""

ABNORMAL_CLOSURE = (1006, "")
"""The client is gone without a close frame: RFC 6455, section 7.1.5."""

UNSUPPORTED_DATA = (1003, "Unsupported Data")
"""AWS takes no binary frames."""


class Session:
    """`await Session(client, api, integration).run(...)`: from the handshake to the end."""

    def __init__(self, client: Client, api: WebSocketApi, integration: Integration) -> None:
        self._client = client
        self._api = api
        self._integration = integration

    async def run(self, offered: list[str], receive: Receive, send: Send) -> None:
        """Returns when every event is done; `offered` are the client's subprotocols."""
        client = self._client
        try:
            result = await self._integration.result(connect_event(client.handshake))
        except Failed as failed:
            await refuse(troubled(failed.trouble), send)
            return
        if not result.accepts:
            await refuse(result.refusal(), send)
            return
        with contextlib.suppress(Gone):  # the function has let it in: $disconnect follows
            await client.accept(result.subprotocol(offered))
        events: set[asyncio.Task[None]] = set()
        try:
            code, reason = await self._messages(receive, events)
            with contextlib.suppress(Failed):
                await self._integration.result(disconnect_event(client.handshake, code, reason))
            if events:
                await asyncio.wait(events)
        finally:
            for event in events:
                event.cancel()

    async def _messages(self, receive: Receive, events: set[asyncio.Task[None]]) -> tuple[int, str]:
        """Make an event of each message, until the client is gone; the code and the reason.

        A client that is idle, or has been there for too long, is closed meanwhile.
        """
        client = self._client

        async def expire() -> None:
            left = client.left()
            while left > 0:
                await asyncio.sleep(left)
                left = client.left()
            await client.close(*GOING_AWAY)

        expiring = asyncio.ensure_future(expire())
        try:
            while (message := await receive())["type"] == "websocket.receive":
                if client.state is not ClientState.OPEN:
                    continue  # it came together with what the connection was closed for
                client.touch()
                text = message.get("text")
                if text is None:
                    await client.close(*UNSUPPORTED_DATA)
                    continue
                event = asyncio.ensure_future(self._event(text))
                events.add(event)
                event.add_done_callback(events.discard)
        finally:
            expiring.cancel()
            client.end()
        if "reason" not in message:  # uvicorn gives one for all but lost clients
            return ABNORMAL_CLOSURE
        return (
            NO_STATUS if message["code"] == NO_STATUS[0] else (message["code"], message["reason"])
        )

    async def _event(self, text: str) -> None:
        """The event of a message. Its result goes nowhere: there are no route responses."""
        event = message_event(self._client.handshake, self._api.route_key(text), text)
        try:
            await self._integration.result(event)
        except Failed as failed:
            timed_out = failed.trouble is Trouble.TIMEOUT
            words = {
                "message": "Endpoint request timed out" if timed_out else "Internal server error",
                "connectionId": self._client.handshake.connection_id,
                "requestId": event["requestContext"]["requestId"],
            }
            with contextlib.suppress(Gone):
                await self._client.post(json.dumps(words))
