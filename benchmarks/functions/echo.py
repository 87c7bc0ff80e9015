"""Answers with the body of the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


async def app(
    _scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    message = await receive()
    body = message["body"]
    while message.get("more_body"):  # a web server hands a body on as it comes
        message = await receive()
        body += message["body"]
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
