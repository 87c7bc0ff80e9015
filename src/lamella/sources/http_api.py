"""API Gateway HTTP API, payload format 2.0."""

from __future__ import annotations

from typing import Any

from lamella.sources import fields, paths, payload_v2, roots
from lamella.types import Event, Request, Response


def decode(event: Event) -> Request:
    """The request in an HTTP API event, whose rawPath came decoded, whatever its name says.

    A named stage is in that path and becomes `root_path`. Raises `BadEvent`.
    """
    path, raw_path = paths.from_decoded(fields.text(event, "rawPath"))
    root_path = roots.stage_in(path, fields.mapping(event, "requestContext"))
    return payload_v2.decode(event, path, raw_path, root_path)


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The result; HTTP APIs do not stream."""
    return payload_v2.encode(response, text_types)
