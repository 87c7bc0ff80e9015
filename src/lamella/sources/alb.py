"""Application Load Balancer with a Lambda target.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from lamella.sources import body, fields, headers, origin, paths, payload_v1, query
from lamella.types import Event, Request, Response

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def decode(event: Event) -> Request:
    """The request in an ALB event: path and query parameters are encoded as sent.

    Raises `BadEvent`.
    """
    pairs = headers.from_both(event)
    scheme, server = origin.origin(pairs)
    path, raw_path = paths.from_encoded(fields.text(event, "path"))
    return Request(
        method=fields.method(event, "httpMethod"),
        path=path,
        raw_path=raw_path,
        query_string=query.from_encoded(payload_v1.parameters(event)),
        headers=pairs,
        body=body.decode(event.get("body"), event.get("isBase64Encoded")),
        scheme=scheme,
        server=server,
        client=origin.last_hop(pairs),
    )


def encode(response: Response, event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The result, with the header map that the target group reads: the one the event had.

    With lambda.multi_value_headers.enabled ALB ignores `headers`; without it, `multiValueHeaders`.
    """
    result: dict[str, Any] = {
        "statusCode": response.status,
        "statusDescription": f"{response.status} {_PHRASES.get(response.status, '')}".strip(),
    }
    if event.get("multiValueHeaders") is not None:
        result["multiValueHeaders"] = headers.to_lists(response.headers)
    else:
        result["headers"] = headers.to_single(response.headers)
    return body.add(result, response, text_types)
