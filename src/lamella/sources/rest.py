"""API Gateway REST API (Lambda proxy integration), buffered and streamed."""

from __future__ import annotations

from typing import Any

from lamella.sources import paths, payload_v1
from lamella.types import Event, Headers, Request, Response


def decode(event: Event) -> Request:
    """The request in a REST API event, whose path is percent-encoded. Raises `BadEvent`."""
    return payload_v1.decode(event, paths.from_encoded)


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The buffered result."""
    return payload_v1.encode(response, text_types)


def prelude(status: int, headers: Headers) -> dict[str, Any]:
    """The metadata in front of a streamed body: statusCode, headers, multiValueHeaders.

    No other key but `cookies` is allowed
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html).
    """
    return payload_v1.prelude(status, headers)
