"""What a run leaves open, once the application has returned, raised, or been cancelled."""

from __future__ import annotations

import logging

from lamella.errors import ApplicationError, ClientDisconnected, WebSocketError
from lamella.websocket.connection import Connection
from lamella.websocket.cycle import State, WebSocketCycle

logger = logging.getLogger("lamella")

_OPEN = (State.CONNECTING, State.GREETING, State.CONNECTED, State.RESPONSE)


async def conclude(cycle: WebSocketCycle, connection: Connection, name: str) -> bool:
    """Close the connection where the application is through with it, else keep the session.

    As servers do, it is closed where the application has returned or raised; not where the store
    or API Gateway failed, for the next event may be served again. An error becomes a log record
    with `name` in it. False where there was one. Raises `ApplicationError`, `WebSocketError`.
    """
    error = cycle.error
    if error is None and cycle.state in (State.CONNECTING, State.RESPONSE):
        error = no_verdict()
    told = error is None or (cycle.has_left and all(map(_is_departure, _leaves(error))))
    if error is not None:
        log_error(error, name, told)
    if cycle.state in _OPEN and connection.is_open and not _is_ours(error):
        await connection.close(1011 if error else 1000, "")
    if cycle.gone and error is None and cycle.state is State.LEFT:
        await connection.forget()  # it has seen the end; else $disconnect is for telling it
    if connection.is_open:
        await connection.save()
    return told


def _is_departure(error: BaseException) -> bool:
    """Whether an error says that the client has left, in a framework's words or in ours."""
    named = type(error).__name__.lower()
    return isinstance(error, ClientDisconnected) or "disconnect" in named


def _is_ours(error: BaseException | None) -> bool:
    """Whether it was not the application that failed, but the store or API Gateway."""
    if error is None:
        return False
    leaves = _leaves(error)
    known = all(isinstance(each, (WebSocketError, ClientDisconnected)) for each in leaves)
    return known and any(isinstance(each, WebSocketError) for each in leaves)


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of them, or the one that is none."""
    held = getattr(error, "exceptions", None)
    return [leaf for each in held for leaf in _leaves(each)] if held else [error]


def no_verdict() -> ApplicationError:
    """The error of an application that says neither yes nor no."""
    return ApplicationError(
        "The application returned without accepting the WebSocket or refusing it."
    )


def log_error(error: BaseException, name: str, has_left: bool = False) -> None:
    """An error of the application, with its traceback; a client that `has_left` is none."""
    if has_left or isinstance(error, ClientDisconnected):
        logger.info("%s: the client has left (%s).", name, type(error).__name__)
    else:
        logger.error("%s: %s", name, error or type(error).__name__, exc_info=error)
