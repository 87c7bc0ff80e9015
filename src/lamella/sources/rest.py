"""API Gateway REST API (Lambda proxy integration), buffered and streamed."""

from __future__ import annotations

from lamella.sources import paths, payload_v1
from lamella.types import Event, Request


def decode(event: Event) -> Request:
    """The request in a REST API event, whose path is percent-encoded. Raises `BadEvent`."""
    return payload_v1.decode(event, paths.from_encoded)


encode = payload_v1.encode
prelude = payload_v1.prelude
