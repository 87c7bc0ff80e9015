"""The WebSocket run that the current task belongs to, and the hub that this task uses."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import NamedTuple

from lamella.served import Served, get_served
from lamella.websocket.connection import Connection
from lamella.websocket.cycle import WebSocketCycle
from lamella.websocket.hub import Hub, hub_of


class Current(NamedTuple):
    """A WebSocket run that goes on: its connection and its cycle."""

    connection: Connection
    cycle: WebSocketCycle


current_run: ContextVar[Current | None] = ContextVar("lamella.websocket", default=None)
"""The run that the current task belongs to."""


def here(served: Served | None = None) -> Hub:
    """The hub of the running event loop for an application, made on first use.

    Without `served`: the hub of the current run, or of the process's application; where Lamella
    serves no application, in a script for example, the environment's settings count. Raises
    `StoreError` where no store is named, `SettingError` for a wrong setting.
    """
    run = current_run.get()
    if served is None and run is not None:
        return run.connection.hub
    served = served or get_served()
    if served is not None:
        return hub_of(served, served.settings)
    from lamella.settings import from_environ

    return hub_of(None, from_environ(os.environ))


def is_repeated() -> bool:
    """Whether the current run only repeats what it did when its client connected.

    So nothing is sent and nothing written again for each event, and a client that has left a
    group is not put back into the group.
    """
    run = current_run.get()
    return run is not None and run.cycle.repeats


@asynccontextmanager
async def sending() -> AsyncIterator[None]:
    """While something is sent: the current run goes on, and its session was kept before.

    A client's answer may be quicker than the end of the run that it answers.
    """
    run = current_run.get()
    if run is None:
        yield
        return
    with run.cycle.sending():
        if run.connection.is_open:
            await run.connection.save()
        yield
