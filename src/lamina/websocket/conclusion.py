"""What a run leaves open, once the application has returned, raised, or been cancelled."""

from __future__ import annotations

import logging

from lamina.asgi.websocket import State, WebSocketCycle
from lamina.errors import ApplicationError, ClientDisconnected, WebSocketError
from lamina.websocket.connection import Connection

logger = logging.getLogger("lamina")

_OPEN = (State.CONNECTING, State.CONNECTED, State.RESPONSE)


async def conclude(cycle: WebSocketCycle, connection: Connection, name: str) -> bool:
    """Close the connection where the application is through with it, else keep the session.

    As servers do, it is closed where the application has returned or raised; not where the store
    or API Gateway failed, for the next event may be served again. An error becomes a log record
    with `name` in it. False where there was one. Raises `ApplicationError`, `WebSocketError`.
    """
    error = cycle.error
    if error is None and cycle.state in (State.CONNECTING, State.RESPONSE):
        error = no_verdict()
    if error is not None:
        log_error(error, name)
    if cycle.state in _OPEN and connection.is_open and not isinstance(error, WebSocketError):
        await connection.close(1011 if error else 1000, "")
    if connection.is_open:
        await connection.save()
    return error is None or isinstance(error, ClientDisconnected)


def no_verdict() -> ApplicationError:
    """The error of an application that says neither yes nor no."""
    return ApplicationError(
        "The application returned without accepting the WebSocket or refusing it."
    )


def log_error(error: BaseException, name: str) -> None:
    """An error of the application, with its traceback; a client that left is none."""
    if isinstance(error, ClientDisconnected):
        logger.info("%s: %s", name, error)
    else:
        logger.error("%s: %s", name, error or type(error).__name__, exc_info=error)
