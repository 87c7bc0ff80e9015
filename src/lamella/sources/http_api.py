"""API Gateway HTTP API, payload format 2.0. HTTP APIs do not stream."""

from __future__ import annotations

from lamella.sources import fields, paths, payload_v2, roots
from lamella.types import Event, Request


def decode(event: Event) -> Request:
    """The request in an HTTP API event, whose rawPath came decoded, whatever its name says.

    A named stage is in that path and becomes `root_path`. Raises `BadEvent`.
    """
    path, raw_path = paths.from_decoded(fields.text(event, "rawPath"))
    root_path = roots.stage_in(path, fields.mapping(event, "requestContext"))
    return payload_v2.decode(event, path, raw_path, root_path)


encode = payload_v2.encode
