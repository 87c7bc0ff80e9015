"""Lambda@Edge: CloudFront on viewer-request and origin-request.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, ClassVar

from lamella.front_doors.door import (
    FrontDoor,
    HeadLimit,
    HttpRequest,
    HttpResponse,
    Malformed,
    Trouble,
    html_response,
)
from lamella.front_doors.heads import OF_CLOUDFRONT
from lamella.front_doors.requests import end_to_end, listed, with_length
from lamella.front_doors.results import as_object, body_bytes, parsed, scalar, sendable

DISTRIBUTION = "EDFDVBD6EXAMPLE"
DOMAIN = "d111111abcdef8.cloudfront.net"
BODY_LIMITS = {"viewer-request": 40 * 1024, "origin-request": 1024 * 1024}
"""Bytes of a request's body that the function gets to see; the rest is cut off."""


@dataclass
class Edge(FrontDoor):
    """A distribution; `event_type` is "viewer-request" or "origin-request"."""

    event_type: str = "viewer-request"
    name: ClassVar[str] = "edge"
    label: ClassVar[str] = "Lambda@Edge"
    host: ClassVar[str] = DOMAIN
    head_limits: ClassVar[tuple[HeadLimit, ...]] = OF_CLOUDFRONT

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """`uri` and `querystring` as sent; headers as lists of objects; the body base64."""
        headers = listed(with_length(end_to_end(request), request.body))
        limit = BODY_LIMITS[self.event_type]
        content: dict[str, Any] = {
            "clientIp": request.client_ip,
            "method": request.method,
            "uri": request.raw_path,
            "querystring": request.query,
            "headers": {
                name: [{"key": name.title(), "value": value} for value in values]
                for name, values in headers.items()
            },
        }
        if request.body:
            content["body"] = {
                "action": "read-only",
                "data": base64.b64encode(request.body[:limit]).decode(),
                "encoding": "base64",
                "inputTruncated": len(request.body) > limit,
            }
        config = {
            "distributionDomainName": DOMAIN,
            "distributionId": DISTRIBUTION,
            "eventType": self.event_type,
            "requestId": request.request_id,
        }
        return {"Records": [{"cf": {"config": config, "request": content}}]}

    def response(self, payload: bytes, _request: HttpRequest, /) -> HttpResponse:
        """The generated response of a result. Raises Malformed."""
        result = as_object(parsed(payload))
        status = str(result.get("status"))
        if not (status.isdigit() and 200 <= int(status) <= 599):
            raise Malformed(f"status is {status!r}, not a text from 200 to 599")
        encoded = result.get("bodyEncoding") == "base64"
        body = body_bytes({"body": result.get("body"), "isBase64Encoded": encoded})
        try:
            headers = [
                (name.lower(), scalar(name, entry["value"]))
                for name, entries in (result.get("headers") or {}).items()
                for entry in entries
            ]
        except (AttributeError, KeyError, TypeError) as error:
            raise Malformed("headers is not an object of lists of {key, value}") from error
        return HttpResponse(int(status), sendable(headers), body)

    def trouble(self, trouble: Trouble) -> HttpResponse:
        """CloudFront's own page: 413 for a head that is too large, else 502.

        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html
        """
        if trouble in (Trouble.HEADERS_TOO_LARGE, Trouble.URL_TOO_LONG):
            return html_response(413, "Request Entity Too Large")
        return html_response(502, "Bad Gateway")
