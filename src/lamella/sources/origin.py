"""Who talks to whom: scheme, server, client and HTTP version, read leniently.

A request is never refused over a port: what cannot be read falls back to the next best fact.
"""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton

from lamella.percent import UNRESERVED
from lamella.types import Headers

Address = tuple[str, int]
"""A host without brackets and its port, 0 where the port is unknown."""

REG_NAME = UNRESERVED + b"%!$&'()*+,;="
"""Bytes of a host that is no IPv6 address (RFC 3986, section 3.2.2)."""

_SCHEMES = ("https", "http")
_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/2.0": "2", "HTTP/2": "2", "HTTP/3.0": "3", "HTTP/3": "3"}


def http_version(protocol: str) -> str:
    """ASGI's version of an event's `protocol` field: "HTTP/2.0" is "2"; unknown is "1.1"."""
    return _VERSIONS.get(protocol, "1.1")


def origin(headers: Headers, proto: bytes = b"x-forwarded-proto") -> tuple[str, Address | None]:
    """(scheme, server) as the client addressed them; `proto` names the header with the scheme."""
    first = dict(reversed(headers))
    scheme = scheme_of(first.get(proto, b""))
    host = first.get(b"host")
    return scheme, server_of(host, scheme, first.get(b"x-forwarded-port", b"")) if host else None


@lru_cache(maxsize=16)
def scheme_of(forwarded: bytes) -> str:
    """The first of the schemes in an x-forwarded-proto value if it is one of HTTP, else https."""
    scheme = forwarded.partition(b",")[0].strip().lower().decode("latin-1")
    return scheme if scheme in _SCHEMES else "https"


@lru_cache(maxsize=64)
def server_of(host: bytes, scheme: str, forwarded_port: bytes = b"") -> Address | None:
    """Name and port out of a Host header; a missing port is the forwarded or the scheme's.

    None where no URL could have the name (`:8080`, `[:::]`, `a b`, `me@a`): frameworks build
    URLs of it, and parsers of these raise.
    """
    authority = host.decode("latin-1").strip()
    name, port = split_port(authority)
    if "@" in authority:
        valid = False
    elif ":" in name or authority.startswith("["):
        valid = ":" in name and is_ip_address(name)
    else:
        valid = name != "" and name.isascii() and not name.encode().translate(None, REG_NAME)
    if not valid:
        return None
    if port is None:
        port = _port(forwarded_port.partition(b",")[0].decode("latin-1"))
    return name, port or (80 if scheme in ("http", "ws") else 443)


def last_hop(headers: Headers) -> Address | None:
    """The client as the nearest proxy saw it: the last X-Forwarded-For entry that is not empty.

    Entries before it come from the client and prove nothing, so one that is no address
    ("unknown") means None. ALB can be told to append the client's port too (attribute
    routing.http.xff_client_port.enabled).
    """
    return _last_address(b",".join([v for name, v in headers if name == b"x-forwarded-for"]))


@lru_cache(maxsize=64)
def _last_address(entries: bytes) -> Address | None:
    last = entries.rstrip(b", \t").rpartition(b",")[2]
    name, port = split_port(last.decode("latin-1").strip())
    return (name, port or 0) if is_ip_address(name) else None


def is_ip_address(name: str) -> bool:
    """Whether `name` is an IPv4 or IPv6 address, without brackets and port."""
    # ipaddress would do, but its import takes 3 ms; asyncio has imported socket already.
    try:
        inet_pton(AF_INET6 if ":" in name else AF_INET, name)
    except (OSError, ValueError):  # ValueError: a NUL inside
        return False
    return True


def split_port(authority: str) -> tuple[str, int | None]:
    """(host, port) of "host", "host:port", "[v6]", "[v6]:port" or a bare IPv6 address."""
    if authority.startswith("["):
        host, closed, rest = authority[1:].partition("]")
        return (host, _port(rest[1:])) if closed and rest[:1] in ("", ":") else ("", None)
    host, _, port = authority.partition(":")
    return (authority, None) if ":" in port else (host, _port(port))


def _port(digits: str) -> int | None:
    digits = digits.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return None
    return int(digits) if 0 < int(digits) < 65536 else None
