"""A run of the application for a message that comes from a channel layer, not from the client."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from lamella.errors import ApplicationError, WebSocketError
from lamella.invocation import current_invocation
from lamella.life import leftovers
from lamella.types import Message
from lamella.websocket.conclusion import conclude
from lamella.websocket.connection import Connection
from lamella.websocket.current import Current, current_run
from lamella.websocket.cycle import WebSocketCycle
from lamella.websocket.hub import Hub
from lamella.websocket.scopes import scope_of

logger = logging.getLogger("lamella")


async def run(hub: Hub, connection_id: str, message: Message) -> bool:
    """Run the application over a kept handshake, with one message in its inbox.

    False where the connection is not known any more. What the application raises is a log record:
    one member of a group must not cost the others their message. Raises `StoreError`, and the
    error with which the application ends the environment.
    """
    if hub.served is None:
        raise WebSocketError(
            "A message for a channel was sent where Lamella serves no application, so no consumer "
            "can be run for it. Send it from the function that has the consumers."
        )
    row = await hub.store.get(connection_id)
    if row is None:
        return False
    if not row.document["accepted"] and connection_id not in hub.connecting:
        return True  # another environment is about to let it in: too early for a message
    # A task, so that the run's context variables and tasks are its own.
    run_of_its_own = asyncio.ensure_future(_run(hub, Connection(hub, connection_id, *row), message))
    connection, fatal = await run_of_its_own
    if fatal is not None:
        raise fatal  # here and not in the task: there it would stop the event loop at once
    return connection.is_open


async def _run(
    hub: Hub, connection: Connection, message: Message
) -> tuple[Connection, BaseException | None]:
    assert hub.served is not None
    app, settings, _ = hub.served
    tasks = leftovers.own()
    scope = scope_of(hub.served, connection, "channel", {}, *_invocation())
    patience = settings.background_timeout
    cycle = WebSocketCycle(scope, connection, inbox=[message], again=True, patience=patience)
    current_run.set(Current(connection, cycle))
    await cycle.run(app)
    if cycle.cancelled:
        raise asyncio.CancelledError
    if cycle.fatal is None:
        try:
            await conclude(cycle, connection, cycle.name)
        except ApplicationError as error:
            logger.error("%s: %s", cycle.name, error)
        await leftovers.finish(tasks, patience, patience, cycle.name)
    return connection, cycle.fatal


def _invocation() -> tuple[Any, Any]:
    """Event and context of the invocation that sent the message."""
    try:
        invocation = current_invocation()
    except LookupError:
        return None, None
    return invocation.event, invocation.context
