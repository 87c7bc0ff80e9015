"""VPC Lattice with a Lambda target, event versions 1 and 2.

https://docs.aws.amazon.com/vpc-lattice/latest/ug/lambda-functions.html
"""

from __future__ import annotations

from typing import Any

from lamella.sources import body, fields, headers, origin, paths, query
from lamella.types import Event, Request, Response


def decode(event: Event) -> Request:
    """The request in a Lattice event of either version. Raises `BadEvent`.

    Version 1 carries the query whole in raw_path; version 2 as a map, which is read as sent.
    UNVERIFIED (verified.md#the-query-map-of-vpc-lattice): AWS does not say whether that map is
    decoded, its samples hold nothing that would tell, no event is published that does, and other
    readers differ (Powertools hands it on as it is, a patch for Hono's adapter encodes it). Read as
    sent, like a load balancer's and like the `path` beside it, because that is wrong the least:
    were it decoded after all, only a literal `+` or `%` in a value would be misread; the other way
    round, every escape sent.
    """
    if "raw_path" in event:
        raw, parameters, flag = "raw_path", "query_string_parameters", "is_base64_encoded"
    else:
        raw, parameters, flag = "path", "queryStringParameters", "isBase64Encoded"
    target = fields.text(event, raw)
    pairs = headers.from_multi(fields.mapping(event, "headers"))
    scheme, server = origin.origin(pairs)
    path, raw_path = paths.from_encoded(target)
    raw_query = target.partition("?")[2]
    decoded = fields.flatten(fields.mapping(event, parameters))
    return Request(
        method=fields.method(event, "method"),
        path=path,
        raw_path=raw_path,
        query_string=query.from_raw(raw_query) if raw_query else query.from_encoded(decoded),
        headers=pairs,
        body=body.decode(event.get("body"), event.get(flag)),
        scheme=scheme,
        server=server,
        client=origin.last_hop(pairs),
    )


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The result: both versions take one string per header name."""
    result = {
        "statusCode": response.status,
        "headers": headers.to_single(response.headers),
    }
    return body.add(result, response, text_types)
