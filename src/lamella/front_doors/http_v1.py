"""HTTP APIs (API Gateway v2) with payload format 1.0: a REST API's shape, a decoded path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lamella.front_doors.door import ACCOUNT_ID, API_ID, HttpRequest, HttpResponse
from lamella.front_doors.http import DOMAIN, HttpApi
from lamella.front_doors.payload_v2 import decoded_path
from lamella.front_doors.requests import (
    clock,
    decoded_query,
    domain_of,
    is_text,
    listed,
    packed_body,
    with_forwarded,
    with_length,
)
from lamella.front_doors.results import (
    as_object,
    body_bytes,
    limited,
    merged_headers,
    parsed,
    sendable,
    status_code,
    with_default_type,
)


class HttpApiV1(HttpApi):
    """An HTTP API whose integration has payload format 1.0; options as `HttpApi`'s.

    Both paths are decoded and keep a named stage; binary bodies are base64 by type, and every
    base64 answer is decoded. Format:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """

    label: ClassVar[str] = "API Gateway HTTP API, payload format 1.0"

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """Header names as an HTTP/2 client sends them; query maps percent-decoded."""
        path = decoded_path(self.routed(request.raw_path))
        headers = listed(with_length(with_forwarded(request), request.body))
        query = listed(decoded_query(request.query))
        body, encoded = (
            packed_body(request.body, is_text(request)) if request.body else (None, False)
        )
        return {
            "version": "1.0",
            "resource": "$default",
            "path": path,
            "httpMethod": request.method,
            "headers": _last(headers),
            "multiValueHeaders": headers,
            "queryStringParameters": _last(query) or None,
            "multiValueQueryStringParameters": query or None,
            "requestContext": self._context(request, path),
            "pathParameters": None,
            "stageVariables": None,
            "body": body,
            "isBase64Encoded": encoded,
        }

    def response(self, payload: bytes, _request: HttpRequest, /) -> HttpResponse:
        """The response of a result, which needs a statusCode here. Raises Malformed."""
        result = as_object(parsed(payload))
        headers = with_default_type(sendable(merged_headers(result)), "text/plain;charset=UTF-8")
        return limited(HttpResponse(status_code(result), headers, body_bytes(result)))

    def _context(self, request: HttpRequest, path: str) -> dict[str, Any]:
        domain = domain_of(request, DOMAIN)
        return {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "extendedRequestId": request.request_id,
            "httpMethod": request.method,
            "identity": {
                "sourceIp": request.client_ip,
                "userAgent": request.header("user-agent") or "",
            },
            "path": path,
            "protocol": "HTTP/1.1",
            "requestId": request.request_id,
            "requestTime": clock(request),
            "requestTimeEpoch": int(request.at * 1000),
            "resourceId": "$default",
            "resourcePath": "$default",
            "stage": self.stage,
        }


def _last(lists: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in lists.items()}
