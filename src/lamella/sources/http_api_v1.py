"""API Gateway HTTP API, payload format 1.0. HTTP APIs do not stream."""

from __future__ import annotations

from lamella.sources import paths, payload_v1
from lamella.types import Event, Request


def decode(event: Event) -> Request:
    """The request in a payload 1.0 event; as everywhere in HTTP API, the path came decoded.

    Raises `BadEvent`.
    """
    return payload_v1.decode(event, paths.from_decoded)


encode = payload_v1.encode
