"""What `lamella run` prints when the function is ready: where it is, and lines to try."""

from __future__ import annotations

import shlex

from lamella.front_doors import FrontDoor
from lamella.local.websockets.api import WebSocketApi

SOURCES = {
    "url": "Lambda Function URL",
    "rest": "API Gateway REST API",
    "http": "API Gateway HTTP API",
    "alb": "Application Load Balancer",
    "lattice": "VPC Lattice",
    "websocket": "API Gateway WebSocket API",
}
"""The front doors by their names on the command line."""


def headline(door: FrontDoor | WebSocketApi) -> str:
    """Behind what the application is, and how it answers."""
    source = SOURCES[door.name]
    article = "an" if source.startswith("A") else "a"
    return f"behind {article} {source}, {'streamed' if door.streaming else 'buffered'}"


def lines_to_try(door: FrontDoor | WebSocketApi, origin: str, paths: tuple[str, ...]) -> list[str]:
    """Commands for a shell."""
    if isinstance(door, WebSocketApi):
        return [_client_line(door, origin, paths), *curl_lines(origin, paths or ("/",))]
    return curl_lines(door.base_url(origin), paths or ("/",))


def curl_lines(url: str, paths: tuple[str, ...]) -> list[str]:
    """Three lines to try: each path once, then variations on the first."""
    targets = [shlex.quote(f"{url}/{path.lstrip('/')}") for path in paths]
    lines = [f"curl -iN {target}" for target in targets]
    lines += [
        f"curl -I {targets[0]}",
        f"curl -i -H 'content-type: application/json' -d '{{\"hello\": \"world\"}}' {targets[0]}",
    ]
    return lines[: max(3, len(targets))]


def _client_line(api: WebSocketApi, origin: str, paths: tuple[str, ...]) -> str:
    url = api.base_url(origin)
    if api.path_header is not None:
        url += f"/{(paths or ('/',))[0].lstrip('/')}"
    return f"python -m websockets {shlex.quote(url)}"
