"""Lambda Function URL, buffered and streamed: payload format 2.0 with an encoded path."""

from __future__ import annotations

from typing import Any

from lamella.sources import fields, paths, payload_v2
from lamella.types import Event, Headers, Request, Response


def decode(event: Event) -> Request:
    """The request in a Function URL event. Raises `BadEvent`.

    The path is rawPath, percent-encoded as sent; requestContext.http.path is the decoded one.
    """
    path, raw_path = paths.from_encoded(fields.text(event, "rawPath"))
    return payload_v2.decode(event, path, raw_path, "")


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The buffered result."""
    return payload_v2.encode(response, text_types)


def prelude(status: int, headers: Headers) -> dict[str, Any]:
    """The metadata in front of a streamed body: statusCode, headers (single strings), cookies.

    Lists as header values are not understood here.
    """
    return payload_v2.prelude(status, headers)
