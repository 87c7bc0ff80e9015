"""One client: its state, how long it may stay, and what is sent to it."""

from __future__ import annotations

import contextlib
import enum
import time
from typing import Any

from starlette.types import Send

from lamella.local.endpoints.websockets.api import WebSocketApi
from lamella.local.endpoints.websockets.events import Handshake, identity

GOING_AWAY = (1001, "Going away")
"""How AWS ends a connection that is idle, or two hours old."""


class Gone(Exception):
    """The connection is not open: not any more, or not yet."""


class ClientState(enum.Enum):
    """Where a connection is in its life."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


class Client:
    """A client between its handshake and its end; `send` is the web server's, for this one."""

    def __init__(self, handshake: Handshake, api: WebSocketApi, send: Send) -> None:
        self.handshake = handshake
        self.state = ClientState.CONNECTING
        self._api = api
        self._send = send
        self._began = self._active = time.monotonic()

    async def accept(self, subprotocol: str | None) -> None:
        """Complete the handshake. Raises Gone where the client has left."""
        self.state = ClientState.OPEN
        await self._sent({"type": "websocket.accept", "subprotocol": subprotocol})

    async def post(self, text: str) -> None:
        """Send a text. Raises Gone."""
        if self.state is not ClientState.OPEN:
            raise Gone
        await self._sent({"type": "websocket.send", "text": text})
        self.touch()

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame; does nothing if the connection is not open."""
        if self.state is ClientState.OPEN:
            self.state = ClientState.CLOSED
            # The reader is told the code, too: uvicorn hands it a websocket.disconnect.
            with contextlib.suppress(Gone):
                await self._sent({"type": "websocket.close", "code": code, "reason": reason})

    def end(self) -> None:
        """The client is gone; either side may have closed the connection."""
        self.state = ClientState.CLOSED

    def touch(self) -> None:
        """A message went through, so that the connection is not idle."""
        self._active = time.monotonic()

    def left(self) -> float:
        """Seconds until it must end if nothing else happens."""
        idle_end = self._active + self._api.idle_limit
        return min(idle_end, self._began + self._api.life_limit) - time.monotonic()

    def about(self) -> dict[str, Any]:
        """What @connections tells of it."""
        at = self.handshake.request.at
        return {
            "connectedAt": _iso(at),
            "identity": identity(self.handshake.request),
            "lastActiveAt": _iso(at + self._active - self._began),
        }

    async def _sent(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError) as error:
            # uvicorn raises the second for a send between a close frame of its own (a frame
            # that was too large) and the moment when the reader learns of it.
            self.end()
            raise Gone from error


def _iso(at: float) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{stamp}.{int(at * 1000) % 1000:03d}Z"
