"""Lambda Function URL, buffered and streamed: payload format 2.0 with an encoded path."""

from __future__ import annotations

from lamella.sources import fields, paths, payload_v2
from lamella.types import Event, Request


def decode(event: Event) -> Request:
    """The request in a Function URL event. Raises `BadEvent`.

    The path is rawPath, percent-encoded as sent; requestContext.http.path is the decoded one.
    """
    path, raw_path = paths.from_encoded(fields.text(event, "rawPath"))
    return payload_v2.decode(event, path, raw_path, "")


encode = payload_v2.encode
prelude = payload_v2.prelude
