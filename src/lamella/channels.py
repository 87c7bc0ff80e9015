"""A channel layer for Django Channels over Lamella's WebSocket connections.

    CHANNEL_LAYERS = {"default": {"BACKEND": "lamella.channels.ConnectionsChannelLayer"}}

A channel is a connection, and a message to it a run of its consumer over the kept handshake: the
consumer connects again, which the client does not notice, and its handler for the message runs.
Interface: https://channels.readthedocs.io/en/latest/channel_layer_spec.html, extension "groups".
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import uuid4

from channels.layers import BaseChannelLayer  # type: ignore[import-untyped]  # it has no types

from lamella.errors import WebSocketError
from lamella.websocket import push
from lamella.websocket.application import run_for_channel
from lamella.websocket.current import current_run, here, is_repeated, sending
from lamella.websocket.store import Member

PREFIX = "websocket."
"""In front of a connection's id in its channel's name, and of groups in the store: those that the
application fills itself with `lamella.websocket.group_add` get frames, and run no consumer."""


class ConnectionsChannelLayer(BaseChannelLayer):  # type: ignore[misc]  # it has no types
    """Channels that are WebSocket connections, and groups of them, in the connection store.

    Messages are not queued: `send` and `group_send` return when every consumer's handler has run.
    They go to WebSocket consumers only; a worker's channel ("runworker") cannot be reached.
    """

    extensions = ("groups",)

    async def new_channel(self, prefix: str = "specific") -> str:
        """The channel of the connection that the current run serves, the same in each event.

        Elsewhere, in a consumer for HTTP, a channel that nothing can be sent to.
        """
        run = current_run.get()
        return f"{prefix}!{uuid4().hex}" if run is None else channel_of(run.connection.id)

    async def receive(self, channel: str) -> dict[str, Any]:
        """The message that the current run is for, then nothing more."""
        run = current_run.get()
        if run is None or channel != channel_of(run.connection.id):
            await asyncio.get_running_loop().create_future()
            raise AssertionError  # the run ends while this waits
        return dict(await run.cycle.receive_inbox())

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Run the consumer of a connection. Raises `WebSocketError` for any other channel."""
        connection_id = connection_of(channel)
        if is_repeated():
            return
        async with sending():
            await run_for_channel(here(), connection_id, dict(message))

    async def group_add(self, group: str, channel: str) -> None:
        """Put a connection into a group."""
        self.require_valid_group_name(group)
        await push.group_add(PREFIX + group, connection_of(channel))

    async def group_discard(self, group: str, channel: str) -> None:
        """Take a connection out of a group."""
        self.require_valid_group_name(group)
        await push.group_discard(PREFIX + group, connection_of(channel))

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Run the consumer of every connection in a group. Raises `WebSocketError`."""
        self.require_valid_group_name(group)
        hub = here()

        async def serve(member: Member) -> bool:
            if await run_for_channel(hub, member.connection_id, dict(message)):
                return True
            await hub.store.group_discard(PREFIX + group, member.connection_id)
            return False

        if is_repeated():
            return
        async with sending():
            await push.for_each_member(hub, PREFIX + group, serve)


def channel_of(connection_id: str) -> str:
    """The name of a connection's channel: Channels allows letters, digits, `-`, `_` and `.`."""
    return PREFIX + urlsafe_b64encode(connection_id.encode()).decode().rstrip("=")


def connection_of(channel: str) -> str:
    """The connection's id in a channel's name. Raises `WebSocketError` for other channels."""
    name = channel[len(PREFIX) :]
    if not channel.startswith(PREFIX) or not name:
        raise _no_connection(channel)
    try:
        return urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except ValueError:
        raise _no_connection(channel) from None


def _no_connection(channel: str) -> WebSocketError:
    return WebSocketError(
        f"The channel {channel!r} is no WebSocket connection: this channel layer reaches "
        "WebSocket consumers only. Use channels_redis for workers."
    )
