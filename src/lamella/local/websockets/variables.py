"""The variables that a function behind a local WebSocket API gets besides its user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

KEY_ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
LOCAL = {KEY_ID: "local", SECRET: "local"}
"""Credentials that lead nowhere: sends to clients must be signed, here as well."""

HEADER_PATH = "header:"
"""How ASGI_WEBSOCKET_PATH begins where the path is in a header."""


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
