"""Payload format 2.0, which HTTP APIs and Function URLs share.

Format: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
Which fields arrive decoded was captured on AWS (July 2026, hotsock/voker's probes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from lamella.front_doors.door import API_ID, HttpRequest, HttpResponse, Pairs
from lamella.front_doors.requests import (
    clock,
    decoded_query,
    is_text,
    joined,
    packed_body,
    with_forwarded,
    with_length,
)
from lamella.front_doors.results import (
    body_bytes,
    cookies,
    parsed,
    sendable,
    single_headers,
    status_code,
    with_default_type,
)


def event_headers(request: HttpRequest) -> Pairs:
    """The headers of an event, before duplicates are joined by ","."""
    return with_length(with_forwarded(request), request.body)


def cookie_list(request: HttpRequest) -> list[str]:
    """Each cookie of each cookie header."""
    texts = [value for name, value in request.headers if name == "cookie"]
    return [cookie for text in texts for cookie in text.split("; ") if cookie]


def decoded_path(raw_path: str) -> str:
    """The path percent-decoded; a decoded "?" cuts it short, as it does on AWS."""
    return unquote(raw_path).partition("?")[0]


def common_event(request: HttpRequest, raw_path: str, headers: Pairs) -> dict[str, Any]:
    """The fields that both sources have, but for requestContext."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": request.query,
        "headers": joined(headers),
        "isBase64Encoded": False,
    }
    if found := cookie_list(request):
        event["cookies"] = found
    if query := joined(decoded_query(request.query)):
        event["queryStringParameters"] = query
    if request.body:
        event["body"], event["isBase64Encoded"] = packed_body(request.body, is_text(request))
    return event


def context(request: HttpRequest, domain: str, path: str, stage: str) -> dict[str, Any]:
    """requestContext without the account and its authorizer."""
    return {
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.client_ip,
            "userAgent": request.header("user-agent") or "",
        },
        "requestId": request.request_id,
        "routeKey": "$default",
        "stage": stage,
        "time": clock(request),
        "timeEpoch": int(request.at * 1000),
    }


def response(payload: bytes, default_type: str) -> HttpResponse:
    """The response of a result; JSON without a statusCode is a 200 with that JSON.

    A result that is one JSON text becomes the body without its quotes, as in the example of
    the page above. Raises Malformed.
    """
    result = parsed(payload)
    if not isinstance(result, dict) or "statusCode" not in result:
        text = result if isinstance(result, str) else json.dumps(result)
        return HttpResponse(200, [("content-type", "application/json")], text.encode("utf-8"))
    headers = with_default_type(sendable(single_headers(result)), default_type)
    return HttpResponse(status_code(result), headers + cookies(result), body_bytes(result))


def stream_head(prelude: Mapping[str, Any]) -> HttpResponse:
    """Status and headers of a prelude; without statusCode it is a 200. Raises Malformed."""
    status = status_code({"statusCode": prelude.get("statusCode", 200)})
    headers = with_default_type(single_headers(prelude), "application/octet-stream")
    headers = [pair for pair in headers if pair[0] != "transfer-encoding"]
    return HttpResponse(status, headers + cookies(prelude), b"")
