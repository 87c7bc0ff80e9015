"""Application Load Balancers with a Lambda target group.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lamella.front_doors.door import (
    ACCOUNT_ID,
    REGION,
    FrontDoor,
    HeadLimit,
    HttpRequest,
    HttpResponse,
    Malformed,
    Trouble,
    html_response,
)
from lamella.front_doors.heads import OF_LOAD_BALANCER
from lamella.front_doors.requests import (
    is_text,
    listed,
    packed_body,
    raw_query,
    with_forwarded,
    with_length,
)
from lamella.front_doors.results import (
    as_object,
    body_bytes,
    multi_headers,
    parsed,
    sendable,
    single_headers,
    status_code,
    with_default_type,
)

MAX_BYTES = 1024 * 1024
"""Bytes of a request's body, and of a result: 1 MiB each."""

TARGET_GROUP = (
    f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT_ID}:targetgroup/local/0123456789abcdef"
)

TROUBLES = {
    Trouble.TOO_LARGE: (413, "Request Entity Too Large"),
    Trouble.HEADERS_TOO_LARGE: (400, "Bad Request"),
    Trouble.URL_TOO_LONG: (414, "URI Too Long"),
    Trouble.THROTTLED: (429, "Too Many Requests"),
}
"""Everything else is a 502, a function's timeout too. For the headers AWS names 400 and 413,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html;
a user got the 400 for one of 20,000 bytes, https://qiita.com/fururun02/items/9e9823c9a5c579ee7b86."""


@dataclass
class LoadBalancer(FrontDoor):
    """`multi_value` is the target group attribute lambda.multi_value_headers.enabled."""

    multi_value: bool = False
    name: ClassVar[str] = "alb"
    label: ClassVar[str] = "Application Load Balancer"
    host: ClassVar[str] = f"local-1234567890.{REGION}.elb.amazonaws.com"
    max_body: ClassVar[int] = MAX_BYTES
    head_limits: ClassVar[tuple[HeadLimit, ...]] = OF_LOAD_BALANCER

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """Path and query exactly as sent; of duplicates the last, unless `multi_value`."""
        headers = listed(with_length(with_forwarded(request), request.body))
        query = listed(raw_query(request.query))
        encoded_body = request.header("content-encoding") is not None
        as_text = not encoded_body and (is_text(request) or not request.body)
        body, encoded = packed_body(request.body, as_text)
        event: dict[str, Any] = {
            "requestContext": {"elb": {"targetGroupArn": TARGET_GROUP}},
            "httpMethod": request.method,
            "path": request.raw_path,
            "body": body,
            "isBase64Encoded": encoded,
        }
        if self.multi_value:
            return {**event, "multiValueQueryStringParameters": query, "multiValueHeaders": headers}
        last = {name: values[-1] for name, values in query.items()}
        event["queryStringParameters"] = last
        event["headers"] = {name: values[-1] for name, values in headers.items()}
        return event

    def response(self, payload: bytes, _request: HttpRequest, /) -> HttpResponse:
        """The response of a result. Raises Malformed.

        Only the header map of the chosen mode counts. statusDescription is checked, but the
        reason phrase is the standard one: the web server in front sends no other.
        """
        if len(payload) > MAX_BYTES:
            raise Malformed(f"the result has {len(payload)} bytes, over the limit of {MAX_BYTES}")
        result = as_object(parsed(payload))
        description = result.get("statusDescription")
        if description is not None and not isinstance(description, str):
            raise Malformed(f"statusDescription is {description!r}, not a text")
        headers = multi_headers(result) if self.multi_value else single_headers(result)
        headers = with_default_type(sendable(headers), "application/octet-stream")
        return HttpResponse(status_code(result), headers, body_bytes(result))

    def trouble(self, trouble: Trouble) -> HttpResponse:
        """The load balancer's own pages."""
        return html_response(*TROUBLES.get(trouble, (502, "Bad Gateway")))
