"""The scope of a run: the kept handshake, and what this environment and this event add."""

from __future__ import annotations

from typing import Any

from lamella.served import Served
from lamella.sources import websocket as codec
from lamella.types import Scope
from lamella.websocket.connection import Connection


def scope_of(
    served: Served,
    connection: Connection,
    kind: str,
    request_context: dict[str, Any],
    event: Any,
    context: Any,
) -> Scope:
    """The scope; `kind` is the event: "connect", "message", "disconnect", or "channel".

    Its extension `lamella.websocket` has `connection_id`, `event`, `route_key` (of API Gateway,
    None for "channel"), `authorizer` (what the API's authorizer said, {} without one) and
    `session`, the dictionary that is kept between the events.
    """
    scope = codec.scope(connection.document)
    scope["state"] = served.state.copy()
    scope["extensions"] = {
        "websocket.http.response": {},
        "lamella.websocket": {
            "connection_id": connection.id,
            "event": kind,
            "route_key": request_context.get("routeKey"),
            "authorizer": connection.document["authorizer"],
            "session": connection.session,
        },
    }
    scope["aws.event"] = event
    scope["aws.context"] = context
    return scope
