"""HTTP APIs (API Gateway v2) with payload format 2.0 and the catch-all route `$default`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lamella.front_doors import payload_v2
from lamella.front_doors.door import (
    ACCOUNT_ID,
    API_ID,
    REGION,
    FrontDoor,
    HeadLimit,
    HttpRequest,
    HttpResponse,
    Pairs,
    Refused,
    Trouble,
    json_response,
)
from lamella.front_doors.heads import OF_HTTP_API
from lamella.front_doors.requests import below, domain_of
from lamella.front_doors.results import limited

DOMAIN = f"{API_ID}.execute-api.{REGION}.amazonaws.com"

TROUBLES = {
    Trouble.TIMEOUT: (503, "Service Unavailable"),
    Trouble.TOO_LARGE: (413, "Request Entity Too Large"),
    Trouble.HEADERS_TOO_LARGE: (431, "Request Header Fields Too Large"),
    Trouble.THROTTLED: (429, "Too Many Requests"),
    Trouble.NO_ROUTE: (404, "Not Found"),
}
"""Everything else is a 500: an HTTP API does not say 502 as REST APIs do. The 431 is
UNVERIFIED (docs/verified.md#a-request-over-the-limit-of-an-http-api)."""


@dataclass
class HttpApi(FrontDoor):
    """An HTTP API.

    `stage` "$default" has no path prefix; a named one does, for the client and in the event.
    `base` is the mapping key of a custom domain: for the client only.
    """

    stage: str = "$default"
    base: str = ""
    time_limit: float | None = 30.0
    name: ClassVar[str] = "http"
    label: ClassVar[str] = "API Gateway HTTP API"
    host: ClassVar[str] = DOMAIN
    head_limits: ClassVar[tuple[HeadLimit, ...]] = OF_HTTP_API

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """rawPath percent-decoded; cookies moved out of the headers."""
        path = payload_v2.decoded_path(self.routed(request.raw_path))
        headers = [pair for pair in payload_v2.event_headers(request) if pair[0] != "cookie"]
        event = payload_v2.common_event(request, path, headers)
        event["requestContext"] = {
            "accountId": ACCOUNT_ID,
            **payload_v2.context(request, domain_of(request, DOMAIN), path, self.stage),
        }
        return event

    def response(self, payload: bytes, _request: HttpRequest, /) -> HttpResponse:
        """The response of a result. Raises Malformed."""
        return limited(payload_v2.response(payload, "text/plain;charset=UTF-8"))

    def trouble(self, trouble: Trouble) -> HttpResponse:
        """The API's own answers, as {"message": ...}."""
        status, message = TROUBLES.get(trouble, (500, "Internal Server Error"))
        return json_response(status, {"message": message})

    def added_headers(self, request: HttpRequest, /) -> Pairs:
        """The request's id."""
        return [("apigw-requestid", request.request_id)]

    def base_url(self, origin: str) -> str:
        """The origin with mapping key and named stage."""
        return origin + self.base + self._prefix

    @property
    def _prefix(self) -> str:
        return "" if self.stage == "$default" else f"/{self.stage}"

    def routed(self, raw_path: str) -> str:
        """The path as the API sees it, with its stage. Raises Refused."""
        inner = below(self.base, raw_path)
        if inner is None or below(self._prefix, inner) is None:
            raise Refused(Trouble.NO_ROUTE)
        return inner
