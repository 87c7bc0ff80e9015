"""The web server in front of a gateway: uvicorn on a socket that is bound before anything else.

WebSockets have API Gateway's limits: no extension (so no compression), and code 1009 for what is
too large, https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Protocol

import uvicorn
from starlette.types import Receive, Scope, Send

GRACE = 1
"""Seconds that requests in flight get when the server stops."""

MAX_HEAD = 2 * 1024 * 1024
"""Bytes of a request's line and headers: more than any front door takes, which then answers."""

MAX_MESSAGE = 128 * 1024
MAX_FRAME = 32 * 1024
"""Bytes of a client's message, and of each of its frames."""

WEBSOCKETS: dict[str, Any] = {
    "ws": "websockets-sansio",
    # uvicorn hands it to websockets, which takes the two limits as a tuple.
    "ws_max_size": (MAX_MESSAGE, MAX_FRAME),
    "ws_ping_interval": None,  # a connection is idle or not for its messages alone
    "ws_per_message_deflate": False,
}
NO_WEBSOCKETS: dict[str, Any] = {"ws": "none"}


class AnyGateway(Protocol):
    """What a server serves: a gateway, whose `app` is an ASGI application."""

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: its starter decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bound_socket(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def is_loopback(host: str) -> bool:
    """Whether only this machine's programs reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(listening: socket.socket) -> str:
    """The origin that this machine's programs use, such as http://127.0.0.1:3000."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class LocalServer:
    """Serves a gateway until `stop()`, with `websockets` those too."""

    def __init__(
        self, gateway: AnyGateway, listening: socket.socket, *, websockets: bool = False
    ) -> None:
        config = uvicorn.Config(
            gateway.app,
            http="h11",  # it keeps what the client sent as it was
            h11_max_incomplete_event_size=MAX_HEAD,
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            server_header=False,
            date_header=False,  # the gateway knows whether the function has sent one
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
            **(WEBSOCKETS if websockets else NO_WEBSOCKETS),
        )
        self._server = _Server(config)
        self._socket = listening
        self.origin = origin_of(listening)

    async def serve(self) -> None:
        """Answer requests; returns after `stop()`."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more requests, and end."""
        self._server.should_exit = True
