"""Function URLs: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lamella.front_doors import payload_v2
from lamella.front_doors.door import (
    API_ID,
    MAX_EVENT,
    REGION,
    FrontDoor,
    HeadLimit,
    HttpRequest,
    HttpResponse,
    Pairs,
    Trouble,
    json_response,
)
from lamella.front_doors.heads import OF_URL
from lamella.front_doors.requests import domain_of

DOMAIN = f"{API_ID}.lambda-url.{REGION}.on.aws"

REMAPPED = "www-authenticate"
"""Reaches clients as x-amzn-remapped-www-authenticate (seen live, not in AWS's pages)."""


@dataclass
class FunctionUrl(FrontDoor):
    """A Function URL without authorization; `streaming` is InvokeMode RESPONSE_STREAM.

    With `hold_chunks` it hands small chunks on as late as users report: `delivery.Held`.
    """

    streaming: bool = True
    hold_chunks: bool = False
    name: ClassVar[str] = "url"
    label: ClassVar[str] = "Lambda Function URL"
    host: ClassVar[str] = DOMAIN
    head_limits: ClassVar[tuple[HeadLimit, ...]] = OF_URL
    needs_prelude: ClassVar[bool] = False

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """rawPath as sent, requestContext.http.path decoded; cookies in both places."""
        event = payload_v2.common_event(
            request, request.raw_path, payload_v2.event_headers(request)
        )
        path = payload_v2.decoded_path(request.raw_path)
        domain = domain_of(request, DOMAIN)
        if ".lambda-url." not in domain:  # a proxy's: a URL has no domain but its own
            domain = DOMAIN
        event["requestContext"] = {
            "accountId": "anonymous",
            "authentication": None,
            **payload_v2.context(request, domain, path, "$default"),
        }
        return {**event, "pathParameters": None, "stageVariables": None}

    def response(self, payload: bytes, _request: HttpRequest, /) -> HttpResponse:
        """The response of a buffered result. Raises Malformed."""
        return _remapped(payload_v2.response(payload, "application/json"))

    def stream_head(self, prelude: Mapping[str, Any], /) -> HttpResponse:
        """Status and headers of a prelude; arrays as values are not supported. Raises Malformed."""
        return _remapped(payload_v2.stream_head(prelude))

    def trouble(self, trouble: Trouble) -> HttpResponse:
        """502 "Internal Server Error" for whatever is the function's fault.

        A request whose headers are too large gets the same answer as one whose body is:
        https://github.com/nextauthjs/next-auth/issues/7215.
        """
        if trouble in (Trouble.TOO_LARGE, Trouble.HEADERS_TOO_LARGE):
            message = (
                f"Request must be smaller than {MAX_EVENT} bytes for the InvokeFunction operation"
            )
            return json_response(413, {"Message": message})
        if trouble is Trouble.THROTTLED:
            return json_response(429, {"Message": "Rate Exceeded."})
        return HttpResponse(502, [("content-type", "text/plain")], b"Internal Server Error")

    def added_headers(self, request: HttpRequest, /) -> Pairs:
        """The request's id."""
        return [("x-amzn-requestid", request.request_id)]


def _remapped(response: HttpResponse) -> HttpResponse:
    headers = [
        (f"x-amzn-remapped-{name}" if name == REMAPPED else name, value)
        for name, value in response.headers
    ]
    return response._replace(headers=headers)
