"""Headers that the user decided to trust: the public host and scheme, the real authorization.

Both are off unless set, because a client can send any header it likes.
"""

from __future__ import annotations

from lamina.sources.origin import server_of
from lamina.types import Headers, Request

_HOST = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]"


def forwarded(request: Request, header_name: str) -> Request:
    """The request as the outermost proxy received it, by the header that the user trusts.

    `header_name` is `forwarded` (RFC 7239: the first element's host= and proto=) or any header
    whose (first) value is a host. The Host header, `server` and `scheme` follow it; a missing
    header, or one that names no host, leaves the request as it is. The scheme of a header that
    is only a host stays what x-forwarded-proto said.
    """
    value = _value(request.headers, header_name).partition(b",")[0].strip()
    host, scheme = value, b""
    if header_name.strip().lower() == "forwarded":
        pairs = _parameters(value)
        host, scheme = pairs.get(b"host", b""), pairs.get(b"proto", b"").lower()
    if scheme in (b"http", b"https"):
        request = request._replace(scheme=scheme.decode())
    if not host or host.translate(None, _HOST):
        return request
    return request._replace(
        headers=_with(request.headers, b"host", host), server=server_of(host, request.scheme)
    )


def authorization(request: Request, header_name: str) -> Request:
    """The request with the value of `header_name` as its `authorization` header.

    For Function URLs with IAM auth, where the signature takes that header's place. Where the
    client did not send the header, the request stays as it is.
    """
    value = _value(request.headers, header_name)
    if not value:
        return request
    return request._replace(headers=_with(request.headers, b"authorization", value))


def _value(headers: Headers, header_name: str) -> bytes:
    wanted = header_name.strip().lower().encode("latin-1", "replace")
    return next((value for name, value in headers if name == wanted), b"")


def _with(headers: Headers, name: bytes, value: bytes) -> Headers:
    return [(name, value), *(pair for pair in headers if pair[0] != name)]


def _parameters(element: bytes) -> dict[bytes, bytes]:
    """`for=1.2.3.4;host="a.example:8443";proto=https` as a map, quotes removed."""
    parts = [part.partition(b"=") for part in element.split(b";")]
    return {name.strip().lower(): value.strip().strip(b'"') for name, _, value in parts}
