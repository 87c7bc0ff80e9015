"""Send to WebSocket clients from anywhere in the application.

    await lamella.websocket.send(connection_id, "hello")
    await lamella.websocket.group_add("room", connection_id)
    await lamella.websocket.group_send("room", "hello, all")

`scope["extensions"]["lamella.websocket"]["connection_id"]` is the id of the connection that a
WebSocket endpoint serves. Nothing is imported before the first call: functions that serve HTTP
only pay nothing.
"""

from __future__ import annotations

from collections.abc import Iterable


async def send(connection_id: str, data: str | bytes) -> bool:
    """Send a message to one client; False where it is gone.

    Raises `ApplicationError` for a message that API Gateway does not deliver (over 131,072 bytes,
    or bytes without ASGI_WEBSOCKET_BYTES=base64), `ConnectionsError` and `StoreError`.
    """
    from lamella.websocket import push

    return await push.send(connection_id, data)


async def close(connection_id: str) -> None:
    """Close a client's connection; it may be gone. Its $disconnect follows, and tells its endpoint.

    Raises `ConnectionsError`, `StoreError`.
    """
    from lamella.websocket import push

    await push.close(connection_id)


async def group_add(group: str, connection_id: str) -> None:
    """Put a client into a group, which exists while it has members. Raises `StoreError`.

    It leaves with `group_discard`, or when its connection ends.
    """
    from lamella.websocket import push

    await push.group_add(group, connection_id)


async def group_discard(group: str, connection_id: str) -> None:
    """Take a client out of a group; it may not be in it. Raises `StoreError`."""
    from lamella.websocket import push

    await push.group_discard(group, connection_id)


async def group_send(group: str, data: str | bytes, *, exclude: Iterable[str] = ()) -> int:
    """Send a message to every client in a group but those excluded; how many were there.

    At most 32 are sent to at a time. A client that is gone leaves the group. Raises as `send`;
    where API Gateway refuses some of many, the others get the message first.
    """
    from lamella.websocket import push

    return await push.group_send(group, data, exclude=exclude)
