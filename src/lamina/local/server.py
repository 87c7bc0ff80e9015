"""The web server in front of a gateway: uvicorn on a socket that is bound before anything else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from .gateway import Gateway

GRACE = 1
"""Seconds that requests in flight get when the server stops."""


class _Server(uvicorn.Server):
    """uvicorn, but for its signal handlers: whoever starts it decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bound_socket(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 picks a free one. Raises OSError."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


class LocalServer:
    """Serves a gateway until `stop()`."""

    def __init__(self, gateway: Gateway, listening: socket.socket) -> None:
        config = uvicorn.Config(
            gateway.app,
            # h11 keeps what the client sent as it was; one loop and no WebSockets are enough.
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            server_header=False,
            date_header=False,  # the gateway knows whether the function has sent one
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = _Server(config)
        self._socket = listening
        self.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"

    async def serve(self) -> None:
        """Answer requests; returns after `stop()`."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more requests, and end."""
        self._server.should_exit = True
