"""Sending to connections and groups, whoever asks: an endpoint, a request, another event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from lamella.asgi.http import FATAL
from lamella.errors import LamellaError
from lamella.websocket.connection import Connection
from lamella.websocket.hub import LIFETIME, Delivery, Hub, current_run, here
from lamella.websocket.messages import encoded
from lamella.websocket.store import Member

AT_A_TIME = 32
"""Members of a group that are served at the same time: as many as the client has connections."""


async def send(connection_id: str, data: str | bytes) -> bool:
    """See `lamella.websocket.send`."""
    hub = here()
    payload = encoded(data, hub.settings.websocket_bytes)
    if is_repeated():
        return True
    async with leaving():
        endpoint = await hub.endpoint_of(connection_id)
        if endpoint is None:
            return False
        return await hub.post(endpoint, connection_id, payload) is Delivery.DONE


async def close(connection_id: str) -> None:
    """See `lamella.websocket.close`."""
    hub = here()
    if is_repeated():
        return
    if connecting := hub.connecting.get(connection_id):
        await connecting.close(1000, "")
    elif row := await hub.store.get(connection_id):
        await Connection(hub, connection_id, *row).hang_up()
    elif hub.settings.websocket_endpoint:
        await hub.connections.delete(hub.settings.websocket_endpoint, connection_id)


async def group_add(group: str, connection_id: str) -> None:
    """See `lamella.websocket.group_add`."""
    hub = here()
    if is_repeated() or connection_id in hub.leaving:
        return
    if connecting := hub.connecting.get(connection_id):
        await connecting.keep()
    endpoint = await hub.endpoint_of(connection_id)
    if endpoint is not None:
        member = Member(connection_id, endpoint)
        await hub.store.group_add(group, member, int(time.time()) + LIFETIME)


async def group_discard(group: str, connection_id: str) -> None:
    """See `lamella.websocket.group_discard`."""
    if not is_repeated() and not _is_clean_up(connection_id):
        await here().store.group_discard(group, connection_id)


def is_repeated() -> bool:
    """Whether the current run only repeats what it did when its client connected.

    So nothing is sent and nothing written again for each event, and who has left a group is not
    put back into it.
    """
    run = current_run.get()
    return run is not None and run.cycle.repeats


def _is_clean_up(connection_id: str) -> bool:
    """Whether a `finally` of this connection's run leaves a group: the run ends with each event,
    but the connection does not. When it does, its memberships are forgotten anyway."""
    run = current_run.get()
    return run is not None and run.connection.id == connection_id and run.cycle.cleans_up


async def group_send(group: str, data: str | bytes, *, exclude: Iterable[str] = ()) -> int:
    """See `lamella.websocket.group_send`."""
    hub = here()
    payload = encoded(data, hub.settings.websocket_bytes)
    left_out = set(exclude)
    if is_repeated():
        return 0

    async def deliver(member: Member) -> bool:
        if member.connection_id in left_out:
            return False
        endpoint = hub.settings.websocket_endpoint or member.endpoint
        delivery = await hub.post(endpoint, member.connection_id, payload)
        if delivery in (Delivery.GONE, Delivery.FORGOTTEN):
            await hub.store.group_discard(group, member.connection_id)
        return delivery is Delivery.DONE

    async with leaving():
        return await for_each_member(hub, group, deliver)


@asynccontextmanager
async def leaving() -> AsyncIterator[None]:
    """While something leaves: the current run goes on, and its session was kept before.

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


async def for_each_member(hub: Hub, group: str, serve: Callable[[Member], Awaitable[bool]]) -> int:
    """Serve every member, `AT_A_TIME` at the same time; how many said True.

    Raises the first `LamellaError` when all have been served, and at once the error with which
    the application ends the environment.
    """
    served, errors, fatal = 0, list[LamellaError](), list[BaseException]()

    async def take(waiting: list[Member]) -> None:
        nonlocal served
        while waiting and not fatal:
            try:
                reached = await serve(waiting.pop())
                served += reached  # in one step with its reading, now that nothing is awaited
            except LamellaError as error:
                errors.append(error)
            except FATAL as error:  # raised in a task, it would stop the event loop at once
                fatal.append(error)

    async for members in hub.store.members(group):
        waiting = list(members)
        await asyncio.gather(*(take(waiting) for _ in range(min(AT_A_TIME, len(waiting)))))
        if fatal:
            raise fatal[0]
    if errors:
        raise errors[0]
    return served
