"""Sending to connections and groups: from an endpoint, a request, or another event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from lamella.errors import FATAL, LamellaError
from lamella.websocket.connection import Connection
from lamella.websocket.current import current_run, here, is_repeated, sending
from lamella.websocket.hub import LIFETIME, Delivery, Hub
from lamella.websocket.management import encoded
from lamella.websocket.store import Member

AT_A_TIME = 32
"""Members of a group that are served at the same time: as many as the client has connections."""


async def send(connection_id: str, data: str | bytes) -> bool:
    """See `lamella.websocket.send`."""
    hub = here()
    payload = encoded(data, hub.settings.websocket_bytes)
    if is_repeated():
        return True
    async with sending():
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
        await hub.api.delete(hub.settings.websocket_endpoint, connection_id)


async def group_add(group: str, connection_id: str) -> None:
    """See `lamella.websocket.group_add`."""
    hub = here()
    if is_repeated() or connection_id in hub.disconnecting:
        return
    if connecting := hub.connecting.get(connection_id):
        await connecting.keep()
    endpoint = await hub.endpoint_of(connection_id)
    if endpoint is not None:
        member = Member(connection_id, endpoint)
        await hub.store.group_add(group, member, int(time.time()) + LIFETIME)


async def group_discard(group: str, connection_id: str) -> None:
    """See `lamella.websocket.group_discard`.

    Nothing in a `finally` of the connection's own run: the run ends with each event, but the
    connection does not. When the connection ends, its memberships are forgotten anyway.
    """
    run = current_run.get()
    cleans_up = run is not None and run.connection.id == connection_id and run.cycle.cleans_up
    if not is_repeated() and not cleans_up:
        await here().store.group_discard(group, connection_id)


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

    async with sending():
        return await for_each_member(hub, group, deliver)


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
