"""Payload format 1.0: what REST APIs speak, and HTTP APIs that ask for it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lamella.sources import body, fields, headers, origin, query, roots
from lamella.types import Event, Headers, Request, Response


def decode(event: Event, split_path: Callable[[str], tuple[str, bytes]]) -> Request:
    """The request; `split_path` makes (path, raw_path) out of the path as the API hands it.

    Raises `BadEvent`.
    """
    context = fields.mapping(event, "requestContext")
    pairs = headers.from_both(event)
    scheme, server = origin.origin(pairs)
    full, root = roots.full_path(event, context)
    path, raw_path = split_path(full)
    # AWS's events have no raw query, emulators' may.
    raw_query = fields.text(event, "rawQueryString")
    source_ip = fields.text(fields.mapping(context, "identity"), "sourceIp")
    return Request(
        method=fields.method(event, "httpMethod"),
        path=path,
        raw_path=raw_path,
        query_string=(
            query.from_raw(raw_query) if raw_query else query.from_decoded(parameters(event))
        ),
        headers=pairs,
        body=body.decode(event.get("body"), event.get("isBase64Encoded")),
        scheme=scheme,
        http_version=origin.http_version(fields.text(context, "protocol")),
        server=server,
        client=(source_ip, 0) if source_ip else None,
        root_path=split_path(root)[0] if root else "",
    )


def parameters(event: Event) -> query.Pairs:
    """Query parameters: those of the map that has every value, where the event has it."""
    multi = fields.mapping(event, "multiValueQueryStringParameters")
    return fields.flatten(multi or fields.mapping(event, "queryStringParameters"))


def encode(response: Response, _event: Event, text_types: tuple[str, ...]) -> dict[str, Any]:
    """The result: status, both header maps, body and flag, and no other key (a 502 otherwise)."""
    result = prelude(response.status, response.headers)
    return body.add(result, response, text_types)


def prelude(status: int, pairs: Headers) -> dict[str, Any]:
    """Status and headers, as they stand in front of a streamed body, too.

    Single values are in `headers`, names with several in `multiValueHeaders`: API Gateway merges
    the two maps. In front of a stream no other key but `cookies` is allowed
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html).
    """
    lists = headers.to_lists(pairs)
    single = {name: values[0] for name, values in lists.items() if len(values) == 1}
    result: dict[str, Any] = {"statusCode": status, "headers": single}
    if len(single) < len(lists):
        several = {name: values for name, values in lists.items() if len(values) > 1}
        result["multiValueHeaders"] = several
    return result
