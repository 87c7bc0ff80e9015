"""Lambda@Edge, on viewer-request and origin-request: the function answers for the origin.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-restrictions.html
"""

from __future__ import annotations

from typing import Any

from lamella.errors import BadEvent
from lamella.sources import body, fields, headers, origin, paths, query
from lamella.types import Event, Request, Response

# CloudFront answers 502 to a result with one of these: disallowed or read-only headers, and
# `host`, which no response has.
_REFUSED = frozenset(
    b"connection content-length expect host keep-alive proxy-authenticate proxy-authorization"
    b" proxy-connection trailer transfer-encoding upgrade via warning x-cache x-forwarded-proto"
    b" x-real-ip x-amzn-auth x-amzn-errortype x-amzn-fle-profile x-amzn-header-count"
    b" x-amzn-header-order x-amzn-lambda-integration-tag x-amzn-requestid".split()
)
_REFUSED_PREFIXES = (b"x-accel-", b"x-amz-cf-", b"x-amzn-cf-", b"x-edge-")


def decode(event: Event) -> Request:
    """The request in a CloudFront request event, whose uri is percent-encoded.

    Raises `BadEvent`, with status 413 for a body that CloudFront cut off.
    """
    records = event.get("Records")
    if not isinstance(records, list) or not records or not isinstance(records[0], dict):
        raise fields.malformed("Records", "a list of one CloudFront record", records)
    request = fields.mapping(fields.mapping(records[0], "cf"), "request")
    # {"name": [{"key": "Name", "value": "value"}]}
    values: Event = {}
    for name, entries in fields.mapping(request, "headers").items():
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise fields.malformed(f"headers.{name}", "a list of objects", entries)
        values[name] = [entry.get("value") for entry in entries]
    pairs = headers.from_multi(values)
    # CloudFront keeps X-Forwarded-Proto to itself, and has a header of its own to ask for.
    scheme, server = origin.origin(pairs, b"cloudfront-forwarded-proto")
    path, raw_path = paths.from_encoded(fields.text(request, "uri"))
    sent = fields.mapping(request, "body")
    if sent.get("inputTruncated"):
        raise BadEvent(
            "CloudFront cut off the request's body (inputTruncated), so the application would "
            "see half of it. Send less than 40 KB on viewer-request, 1 MB on origin-request.",
            status=413,
        )
    client_ip = fields.text(request, "clientIp")
    return Request(
        method=fields.method(request, "method"),
        path=path,
        raw_path=raw_path,
        query_string=query.from_raw(fields.text(request, "querystring")),
        headers=pairs,
        body=body.decode(sent.get("data"), fields.text(sent, "encoding") != "text"),
        scheme=scheme,
        server=server,
        client=(client_ip, 0) if client_ip else None,
    )


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """A generated response; CloudFront refuses even an empty `body` together with a 204."""
    text, is_base64 = body.to_text(response.headers, response.body, text_types)
    allowed = [
        pair
        for pair in response.headers
        if pair[0] not in _REFUSED and not pair[0].startswith(_REFUSED_PREFIXES)
    ]
    result: dict[str, Any] = {
        "status": str(response.status),
        "headers": {
            name: [{"key": name, "value": value} for value in values]
            for name, values in headers.to_lists(allowed).items()
        },
    }
    if text:
        result["body"] = text
        result["bodyEncoding"] = "base64" if is_base64 else "text"
    return result
