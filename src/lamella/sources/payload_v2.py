"""Payload format 2.0: what HTTP APIs and Function URLs speak.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

from typing import Any

from lamella.sources import body, fields, headers, origin, query
from lamella.types import Event, Headers, Request, Response


def decode(event: Event, path: str, raw_path: bytes, root_path: str) -> Request:
    """The request, with the paths that the caller knows how to read. Raises `BadEvent`."""
    http = fields.mapping(fields.mapping(event, "requestContext"), "http")
    values = fields.mapping(event, "headers")
    cookies = fields.strings(event.get("cookies"), "cookies")
    if cookies:
        # HTTP APIs take cookies out of the headers. Function URLs leave a header in, where those
        # of several headers are joined by a comma, which is part of a cookie's value.
        key = "Cookie" if "Cookie" in values else "cookie"  # an emulator's spelling, or AWS's
        values = {**values, key: "; ".join(cookies)}
    pairs = headers.from_single(values)
    scheme, server = origin.origin(pairs)
    source_ip = fields.text(http, "sourceIp")
    return Request(
        fields.method(http, "method"),
        path,
        raw_path,
        query.from_raw(fields.text(event, "rawQueryString")),
        pairs,
        body.decode(event.get("body"), event.get("isBase64Encoded")),
        scheme,
        origin.http_version(fields.text(http, "protocol")),
        server,
        (source_ip, 0) if source_ip else None,
        root_path,
    )


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The result: status, headers, cookies where there are any, body and flag."""
    result = prelude(response.status, response.headers)
    return body.add(result, response, text_types)


def prelude(status: int, pairs: Headers) -> dict[str, Any]:
    """Status and headers, as they stand in front of a streamed body, too.

    One string per name, cookies in a list of their own; lists as values are not understood.
    Joining duplicates is wrong for a few headers (www-authenticate), and all the format allows.
    """
    joined, cookies = headers.to_joined(pairs)
    result: dict[str, Any] = {"statusCode": status, "headers": joined}
    if cookies:
        result["cookies"] = cookies
    return result
