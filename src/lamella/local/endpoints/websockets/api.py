"""What a WebSocket API is configured with, and what its function then gets as variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit

from lamella.front_doors.door import FrontDoor, HttpRequest, Refused, Trouble

MANAGEMENT = "@connections"
"""The path segment of the API that sends to clients, below the stage."""


KEY_ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
LOCAL = {KEY_ID: "local", SECRET: "local"}
"""Credentials that lead nowhere: sends to clients must be signed, here as well."""

HEADER_PATH = "header:"
"""How ASGI_WEBSOCKET_PATH begins where the path is in a header."""


@dataclass(frozen=True)
class WebSocketApi:
    """A WebSocket API whose routes all lead to the one function. Times are seconds.

    `routes` are the route keys besides $connect, $disconnect and $default. Clients reach it at
    `/{stage}`; with `path_header` at any path, which the header of that name then carries, as
    a CloudFront function in front of the API would have it. The limits are AWS's own,
    https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html; `posts_per_second`
    limits the sends of all connections together, None is no limit.
    """

    stage: str = "prod"
    routes: tuple[str, ...] = ()
    path_header: str | None = None
    time_limit: float = 29.0
    idle_limit: float = 600.0
    life_limit: float = 7200.0
    posts_per_second: int | None = None
    name: ClassVar[str] = "websocket"
    label: ClassVar[str] = "API Gateway WebSocket API"
    streaming: ClassVar[bool] = False

    def routed(self, handshake: HttpRequest) -> HttpRequest:
        """The handshake as it reaches the API. Raises Refused for a path that it does not have."""
        path = handshake.raw_path
        if self.path_header is not None:
            name = self.path_header.lower()
            others = [pair for pair in handshake.headers if pair[0] != name]
            return replace(handshake, headers=[*others, (name, path)])
        if path.rstrip("/") not in ("", f"/{self.stage}"):
            raise Refused(Trouble.NO_ROUTE)
        return handshake

    def route_key(self, text: str) -> str:
        """The route of a message: AWS's usual selection expression $request.body.action."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return "$default"
        action = body.get("action") if isinstance(body, dict) else None
        return action if isinstance(action, str) and action in self.routes else "$default"

    def managed_id(self, raw_path: str) -> str | None:
        """The connection id in a path of @connections, as sent; None for any other path."""
        prefix = f"/{self.stage}/{MANAGEMENT}/"
        return raw_path[len(prefix) :] if raw_path.startswith(prefix) else None

    def endpoint(self, origin: str) -> str:
        """Where @connections is, as ASGI_WEBSOCKET_ENDPOINT has it."""
        return f"{origin}/{self.stage}"

    def base_url(self, origin: str) -> str:
        """Where clients connect."""
        path = "" if self.path_header is not None else f"/{self.stage}"
        return f"ws://{urlsplit(origin).netloc}{path}"


def with_websockets(environment: Mapping[str, str], endpoint: str, folder: Path) -> dict[str, str]:
    """`environment` with what it lacks; `endpoint` as of WebSocketApi, `folder` for the store."""
    credentials = {} if KEY_ID in environment else LOCAL
    return {
        "ASGI_WEBSOCKET_ENDPOINT": endpoint,
        "ASGI_WEBSOCKET_STORE": f"sqlite:///{quote(str(folder.absolute()))}/connections.db",
        **credentials,
        **environment,
    }


def path_header(environment: Mapping[str, str]) -> str | None:
    """The header that carries the path of a handshake, or None where there is none."""
    given = environment.get("ASGI_WEBSOCKET_PATH", "")
    return given[len(HEADER_PATH) :] if given.startswith(HEADER_PATH) else None


def credentials_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The secret by access key id that a function with these variables signs with."""
    known = {**LOCAL, **environment}
    return {known[KEY_ID]: known[SECRET]}


Door = FrontDoor | WebSocketApi
"""What can stand before a function here."""
