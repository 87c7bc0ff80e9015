"""How large the head of a request may be, its line and its headers: each door's limits, one rule.

What counts is what the client sent. The headers that a door adds itself (x-forwarded-for and
others) do not.
"""

from __future__ import annotations

from collections.abc import Iterable

from lamella.front_doors.door import HeadLimit, HttpRequest, Refused, Trouble


def target(request: HttpRequest) -> int:
    """Bytes of the path and the query."""
    return len(request.raw_path) + (len(request.query) + 1 if request.query else 0)


def line(request: HttpRequest) -> int:
    """Bytes of `GET /path?query HTTP/1.1`."""
    return len(request.method) + target(request) + len("  HTTP/1.1")


def values(request: HttpRequest) -> int:
    """Bytes of all header values."""
    return sum(_size(value) for _, value in request.headers)


def line_and_values(request: HttpRequest) -> int:
    """Bytes of the request line and of all header values."""
    return line(request) + values(request)


def largest(request: HttpRequest) -> int:
    """Bytes of the largest header, as `name: value`."""
    return max(_header_lines(request), default=0)


def headers(request: HttpRequest) -> int:
    """Bytes of all headers: names, values, and the ends of their lines."""
    return sum(size + len("\r\n") for size in _header_lines(request))


def _header_lines(request: HttpRequest) -> Iterable[int]:
    return (len(name) + len(": ") + _size(value) for name, value in request.headers)


def _size(value: str) -> int:
    return len(value.encode("utf-8", "surrogateescape"))


LINE_AND_VALUES = "the request line and the header values have"

OF_URL = (HeadLimit(LINE_AND_VALUES, line_and_values, 2**20),)
"""1 MB, https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. Users report a
limit of 10 KB of cookies, https://github.com/anomalyco/sst/issues/5705, so it is
UNVERIFIED (docs/verified.md#headers-of-a-request-to-a-function-url)."""

OF_HTTP_API = (HeadLimit(LINE_AND_VALUES, line_and_values, 10_240),)
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""

OF_REST_API = (
    HeadLimit("the path and the query have", target, 10_240, Trouble.URL_TOO_LONG),
    HeadLimit("the headers with their names and line ends have", headers, 10_240),
)
"""A regional API's; an edge-optimized one takes 8,192 bytes of URL, a private one 8,000 of headers:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""

OF_LOAD_BALANCER = (
    HeadLimit("the request line has", line, 16 * 1024, Trouble.URL_TOO_LONG),
    HeadLimit("the largest header has", largest, 16 * 1024),
    HeadLimit("the headers with their names and line ends have", headers, 64 * 1024),
)
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"""

OF_CLOUDFRONT = (
    HeadLimit("the path and the query have", target, 8_192, Trouble.URL_TOO_LONG),
    HeadLimit(
        "the request line and the headers have", lambda each: line(each) + headers(each), 32_768
    ),
)
"""https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html"""


def check_head(limits: Iterable[HeadLimit], request: HttpRequest) -> None:
    """Raises Refused for the first limit that the request's head is over."""
    for each in limits:
        size = each.measure(request)
        if size > each.most:
            raise Refused(each.trouble, f"{each.what} {size} bytes, over the limit of {each.most}")
