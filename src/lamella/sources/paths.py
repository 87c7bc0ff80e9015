"""Paths and percent-encoding.

Which source hands an encoded path and which a decoded one was captured on AWS (10 July 2026):
REST API, Function URL and ALB encoded, HTTP API decoded (which loses `%2F` and a decoded `?`).
ASGI wants both forms: `path` decoded as UTF-8, `raw_path` the encoded bytes without the query.
"""

from __future__ import annotations

from lamella import percent
from lamella.percent import UNRESERVED
from lamella.sources.fields import utf8

PATH = UNRESERVED + b"/:@!$&'()*+,;="
"""Bytes that a path holds unescaped (RFC 3986, section 3.3: pchar and "/")."""

PRINTABLE = bytes(range(0x21, 0x7F))
"""What text that is encoded already may hold: everything else is quoted, nothing twice."""


def quote(value: str, safe: bytes) -> bytes:
    """`value` as UTF-8 with each byte outside `safe` as `%XX`. Raises `BadEvent`."""
    return percent.encode(utf8(value), safe)


def rooted(path: str) -> str:
    """`path` with the leading slash that every ASGI path has; "" becomes "/"."""
    return path if path.startswith("/") else "/" + path


def from_encoded(path: str) -> tuple[str, bytes]:
    """(path, raw_path) out of a path that came percent-encoded; a query on it is cut off."""
    raw = quote(rooted(path.partition("?")[0]), PRINTABLE)
    return percent.decode(raw), raw


def from_decoded(path: str) -> tuple[str, bytes]:
    """(path, raw_path) out of a path that came decoded: raw_path is the nearest encoding of it."""
    path = rooted(path)
    return path, quote(path, PATH)


def is_under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or below it: "/api" holds "/api/x" and not "/apifoo"."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
