"""Paths and percent-encoding.

Which source hands an encoded path and which a decoded one was captured on AWS (10 July 2026):
REST API, Function URL and ALB encoded, HTTP API decoded (which loses `%2F` and a decoded `?`).
ASGI wants both forms: `path` decoded as UTF-8, `raw_path` the encoded bytes without the query.

Cheap replacements for urllib.parse, because its import is paid for in every cold start.
"""

from __future__ import annotations

from binascii import Error, unhexlify

from lamella.sources.fields import utf8

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""Bytes that never need an escape (RFC 3986, section 2.3)."""

PATH = UNRESERVED + b"/:@!$&'()*+,;="
"""Bytes that a path holds unescaped (RFC 3986, section 3.3: pchar and "/")."""

PRINTABLE = bytes(range(0x21, 0x7F))
"""What text that is encoded already may hold: everything else is quoted, nothing twice."""


def quote(value: str, safe: bytes) -> bytes:
    """`value` as UTF-8 with each byte outside `safe` as `%XX`."""
    data = utf8(value)
    if not data.translate(None, safe):  # deletes every safe byte: nothing left, nothing to do
        return data
    return b"".join([b"%c" % byte if byte in safe else b"%%%02X" % byte for byte in data])


def percent_decode(raw: bytes) -> str:
    """`raw` with its escapes decoded as UTF-8; what is not UTF-8 becomes U+FFFD.

    A `%` without two hex digits stays as it is, as browsers and servers leave it.
    """
    if b"%" not in raw:
        return raw.decode("utf-8", "replace")
    head, *parts = raw.split(b"%")
    decoded = [head]
    for part in parts:
        try:
            decoded.append(unhexlify(part[:2]) + part[2:] if len(part) > 1 else b"%" + part)
        except Error:
            decoded.append(b"%" + part)
    return b"".join(decoded).decode("utf-8", "replace")


def rooted(path: str) -> str:
    """`path` with the leading slash that every ASGI path has; "" becomes "/"."""
    return path if path.startswith("/") else "/" + path


def from_encoded(path: str) -> tuple[str, bytes]:
    """(path, raw_path) out of a path that came percent-encoded; a query on it is cut off."""
    raw = quote(rooted(path.partition("?")[0]), PRINTABLE)
    return percent_decode(raw), raw


def from_decoded(path: str) -> tuple[str, bytes]:
    """(path, raw_path) out of a path that came decoded: raw_path is the nearest encoding of it."""
    path = rooted(path)
    return path, quote(path, PATH)


def is_under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or below it: "/api" holds "/api/x" and not "/apifoo"."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
