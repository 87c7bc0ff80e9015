"""The application run once over a connection: its scope, its cycle, and what comes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from enum import Enum

from lamella.errors import ApplicationError, ClientDisconnected, WebSocketError
from lamella.invocation import Invocation, current_invocation
from lamella.life import leftovers
from lamella.served import Served
from lamella.sources import websocket as codec
from lamella.sources.preparation import add_traceparent
from lamella.types import Message
from lamella.websocket.connection import Connection
from lamella.websocket.current import Current, current_run
from lamella.websocket.cycle import State, WebSocketCycle
from lamella.websocket.hub import Hub

logger = logging.getLogger("lamella")


def open_cycle(
    served: Served,
    connection: Connection,
    kind: str,
    invocation: Invocation,
    *,
    incoming: Iterable[Message] = (),
    inbox: Iterable[Message] = (),
    route_key: str | None = None,
) -> WebSocketCycle:
    """The cycle of the current task's run; `kind` is "connect", "message", "disconnect", "channel".

    Its scope is the kept handshake, with what this environment and this event add to it. The
    extension `lamella.websocket` has `connection_id`, `event` (which is `kind`), `route_key` (of
    API Gateway, None for "channel"), `authorizer` (what the API's authorizer said, {} without one)
    and `session`, the dictionary that is kept between the events.
    """
    settings = served.settings
    scope = codec.scope(connection.document)
    scope["state"] = served.state.copy()
    scope["extensions"] = {
        "websocket.http.response": {},
        "lamella.websocket": {
            "connection_id": connection.id,
            "event": kind,
            "route_key": route_key,
            "authorizer": connection.document["authorizer"],
            "session": connection.session,
        },
    }
    scope["aws.event"], scope["aws.context"], trace_id, *_ = invocation
    if settings.traceparent:
        add_traceparent(scope["headers"], trace_id)
    cycle = WebSocketCycle(
        scope,
        connection,
        incoming,
        inbox,
        again=kind != "connect",
        patience=settings.background_timeout,
    )
    current_run.set(Current(connection, cycle))
    return cycle


async def conclude(cycle: WebSocketCycle, connection: Connection, name: str) -> bool:
    """Close the connection where the application is through with it, else keep the session.

    As servers do, it is closed where the application has returned or raised; not where the store
    or API Gateway failed, for the next event may be served again. An error becomes a log record
    with `name` in it. False where there was an error, but for one that only says that the client
    has left. Raises `ApplicationError`, `WebSocketError`.
    """
    error = cycle.error
    causes = _causes(error)
    failed = not (causes == {Cause.NONE} or (cycle.has_left and causes == {Cause.DEPARTURE}))
    if error is not None:
        log_error(error, name, has_left=not failed)
    is_ours = {Cause.SERVICE} <= causes <= {Cause.SERVICE, Cause.DEPARTURE}
    if cycle.is_open and connection.is_open and not is_ours:
        await connection.close(1011 if error else 1000, "")
    if cycle.gone and error is None and cycle.state is State.LEFT:
        await connection.forget()  # it has seen the end; else $disconnect is for telling it
    if connection.is_open:
        await connection.save()
    return not failed


class Cause(Enum):
    """Whose error it is."""

    NONE = "there is no error"
    DEPARTURE = "the client has left, in a framework's words or in ours"
    SERVICE = "the store or API Gateway failed"
    APPLICATION = "anything else"


def _causes(error: BaseException | None) -> set[Cause]:
    """The cause of an error; of a group of errors the causes of each."""
    if error is None:
        return {Cause.NONE}
    if held := getattr(error, "exceptions", None):
        return set().union(*map(_causes, held))
    if isinstance(error, ClientDisconnected) or "disconnect" in type(error).__name__.lower():
        return {Cause.DEPARTURE}
    return {Cause.SERVICE if isinstance(error, WebSocketError) else Cause.APPLICATION}


def log_error(error: BaseException, name: str, *, has_left: bool = False) -> None:
    """An error of the application, with its traceback; that the client `has_left` is no error."""
    if has_left or isinstance(error, ClientDisconnected):
        logger.info("%s: the client has left (%s).", name, type(error).__name__)
    else:
        logger.error("%s: %s", name, error or type(error).__name__, exc_info=error)


async def run_for_channel(hub: Hub, connection_id: str, message: Message) -> bool:
    """Run the application for a message that comes from a channel layer, not from the client.

    False where the connection is not known any more. What the application raises is a log record:
    one member of a group must not cost the others their message. Raises `StoreError`, and the
    error with which the application ends the environment.
    """
    served = hub.served
    if served is None:
        raise WebSocketError(
            "A message was sent to a channel in a process where Lamella serves no application, so "
            "no consumer can run. Send it from the function that has the consumers."
        )
    row = await hub.store.get(connection_id)
    if row is None:
        return False
    if not row.document["accepted"] and connection_id not in hub.connecting:
        return True  # another environment is about to let it in: too early for a message
    connection = Connection(hub, connection_id, *row)
    try:
        invocation = current_invocation()
    except LookupError:
        invocation = Invocation({}, None)

    async def run() -> BaseException | None:
        tasks = leftovers.own()
        cycle = open_cycle(served, connection, "channel", invocation, inbox=[message])
        await cycle.run(served.app)
        if cycle.cancelled:
            raise asyncio.CancelledError
        if cycle.fatal is None:
            try:
                await conclude(cycle, connection, cycle.name)
            except ApplicationError as error:
                logger.error("%s: %s", cycle.name, error)
            patience = served.settings.background_timeout
            await leftovers.finish(tasks, patience, patience, cycle.name)
        return cycle.fatal

    # A task, so that the run's context variables and tasks are its own.
    if (fatal := await asyncio.ensure_future(run())) is not None:
        raise fatal  # here and not in the task: there it would stop the event loop at once
    return connection.is_open
