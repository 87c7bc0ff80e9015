"""Pieces of events that several sources share: paths, headers, queries, bodies."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterable
from urllib.parse import parse_qsl

from lamella.front_doors.door import HttpRequest, Pairs

HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
    "upgrade",
}

TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})
"""Besides text/*: what HTTP APIs, Function URLs and load balancers hand over as text."""


def below(prefix: str, path: str) -> str | None:
    """`path` without `prefix`, always with a leading slash; None if it lies elsewhere.

    A prefix matches whole segments only; "" matches everything.
    """
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else None


def end_to_end(request: HttpRequest) -> Pairs:
    """The client's headers without those that are about its connection.

    The length of a body in chunks is that of its chunks, whatever the client says beside it
    (RFC 9112, section 6.3).
    """
    chunked = request.header("transfer-encoding") is not None
    gone = HOP_BY_HOP | {"content-length"} if chunked else HOP_BY_HOP
    return [pair for pair in request.headers if pair[0] not in gone]


def forwarded(request: HttpRequest) -> Pairs:
    """What AWS's proxies add. The scheme is the real one, so that redirects lead back here."""
    chain = request.header("x-forwarded-for")
    root = f"Root=1-{int(request.at):08x}-{secrets.token_hex(12)}"
    return [
        ("x-amzn-trace-id", request.header("x-amzn-trace-id") or root),
        ("x-forwarded-for", f"{chain}, {request.client_ip}" if chain else request.client_ip),
        ("x-forwarded-port", str(request.port)),
        ("x-forwarded-proto", request.scheme),
    ]


def with_forwarded(request: HttpRequest) -> Pairs:
    """The client's end-to-end headers and AWS's own, which replace the client's."""
    added = forwarded(request)
    names = {name for name, _ in added}
    return [pair for pair in end_to_end(request) if pair[0] not in names] + added


def with_length(headers: Pairs, body: bytes) -> Pairs:
    """`headers` with a content-length where the client sent the body in chunks."""
    if not body or any(name == "content-length" for name, _ in headers):
        return headers
    return [*headers, ("content-length", str(len(body)))]


def listed(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each name, in order."""
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def joined(pairs: Iterable[tuple[str, str]], separator: str = ",") -> dict[str, str]:
    """The values of each name as one text."""
    return {name: separator.join(values) for name, values in listed(pairs).items()}


def decoded_query(query: str) -> Pairs:
    """Name and value pairs, percent-decoded, "+" a space, empty values kept."""
    return parse_qsl(query, keep_blank_values=True)


def raw_query(query: str) -> Pairs:
    """Name and value pairs exactly as sent."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in pairs]


def domain_of(request: HttpRequest, default: str) -> str:
    """The domain that the client dialled; `default` where that is a name of this machine."""
    host = (request.header("host") or "").rpartition(":")[0] or request.header("host") or ""
    local = "." not in host or host.endswith(".localhost") or host.replace(".", "").isdigit()
    return default if local or ":" in host else host


def media_type(request: HttpRequest) -> str:
    """The content type without parameters, lower case, or ""."""
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


def is_text(request: HttpRequest) -> bool:
    """Whether the body's type is one of those that are handed over as text."""
    kind = media_type(request)
    return kind.startswith("text/") or kind in TEXT_TYPES


def packed_body(body: bytes, as_text: bool) -> tuple[str, bool]:
    """The body in JSON, and whether it is base64. Text that is not UTF-8 must be base64 too."""
    if as_text:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), True


def clock(request: HttpRequest) -> str:
    """The time of the request, see clock_at."""
    return clock_at(request.at)


def clock_at(at: float) -> str:
    """A time as API Gateway writes it: 10/Jul/2026:19:19:04 +0000."""
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
