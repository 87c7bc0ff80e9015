"""API Gateway HTTP API, payload format 1.0."""

from __future__ import annotations

from typing import Any

from lamella.sources import paths, payload_v1
from lamella.types import Event, Request, Response


def decode(event: Event) -> Request:
    """The request in a payload 1.0 event; as everywhere in HTTP API, the path came decoded.

    Raises `BadEvent`.
    """
    return payload_v1.decode(event, paths.from_decoded)


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The result; HTTP APIs do not stream."""
    return payload_v1.encode(response, text_types)
