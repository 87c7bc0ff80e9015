"""Headers that the user decided to trust: the public host and scheme, the real authorization.

Both are off unless set, because a client can send any header it likes.
"""

from __future__ import annotations

import re

from lamina.sources.origin import is_ip_address, server_of
from lamina.types import Headers, Request

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?"
)
_LONGEST = 255 + len(":65535")  # characters; names: RFC 1035, section 2.3.4


def forwarded(request: Request, header_name: str) -> Request:
    """The request as the nearest proxy received it, by the header that the user trusts.

    `header_name` is `forwarded` (RFC 7239: host= and proto=) or any header whose value is a
    host. Proxies replace such a header or append to it, so the last value is the nearest
    proxy's; those before it may be the client's own and prove nothing. Behind several proxies,
    let the nearest one replace the header.

    The Host header, `server` and `scheme` follow the value; a missing header, or one whose last
    value is no host, leaves the request as it is. The scheme of a header that is only a host
    stays what x-forwarded-proto said.
    """
    values = b",".join(_values(request.headers, header_name))
    value = values.rpartition(b",")[2].strip().decode("latin-1")
    host, scheme = value, ""
    if header_name.strip().lower() == "forwarded":
        pairs = _parameters(value)
        host, scheme = pairs.get("host", ""), pairs.get("proto", "").lower()
    if host and not _is_host(host):
        return request
    if scheme in ("http", "https"):
        request = request._replace(scheme=scheme)
    if not host:
        return request
    raw = host.encode("latin-1")
    return request._replace(
        headers=_with(request.headers, b"host", raw), server=server_of(raw, request.scheme)
    )


def authorization(request: Request, header_name: str) -> Request:
    """The request with the value of `header_name` as its `authorization` header.

    For Function URLs with IAM auth, where the signature takes that header's place. Where the
    client did not send the header, the request stays as it is.
    """
    values = _values(request.headers, header_name)
    if not values or not values[0]:
        return request
    return request._replace(headers=_with(request.headers, b"authorization", values[0]))


def _values(headers: Headers, header_name: str) -> list[bytes]:
    wanted = header_name.strip().lower().encode("latin-1", "replace")
    return [value for name, value in headers if name == wanted]


def _with(headers: Headers, name: bytes, value: bytes) -> Headers:
    return [(name, value), *(pair for pair in headers if pair[0] != name)]


def _parameters(element: str) -> dict[str, str]:
    """`for=1.2.3.4;host="a.example:8443";proto=https` as a map, quotes removed."""
    parts = [part.partition("=") for part in element.split(";")]
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in parts}


def _is_host(value: str) -> bool:
    """Whether `value` is a host name or an address, with a port or without."""
    found = _HOST.fullmatch(value) if len(value) <= _LONGEST else None
    if found is None:
        return False
    address, port = found["address"], found["port"]
    return (address is None or is_ip_address(address)) and (port is None or 0 < int(port) < 65536)
