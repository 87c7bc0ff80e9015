"""The paths of URLs: percent-encoding (RFC 3986, section 2.1), and segments (section 5.2.4).

Cheap replacements for urllib.parse, because its import is paid for in every cold start.
"""

from __future__ import annotations

from binascii import Error, unhexlify

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""Bytes that never need an escape (RFC 3986, section 2.3)."""


PERCENT = ord("%")
"""A number, which Python finds in bytes much faster than it finds bytes in them."""


def encode(data: bytes, safe: bytes) -> bytes:
    """`data` with each byte outside `safe` as `%XX`."""
    if not data.translate(None, safe):  # deletes every safe byte: nothing left, nothing to do
        return data
    return b"".join([b"%c" % byte if byte in safe else b"%%%02X" % byte for byte in data])


def decode(raw: bytes) -> str:
    """`raw` with its escapes decoded as UTF-8; what is not UTF-8 becomes U+FFFD.

    A `%` without two hex digits stays as it is, as browsers and servers leave it.
    """
    if PERCENT not in raw:
        return raw.decode("utf-8", "replace")
    head, *parts = raw.split(b"%")
    decoded = [head]
    for part in parts:
        try:
            decoded.append(unhexlify(part[:2]) + part[2:] if len(part) > 1 else b"%" + part)
        except Error:
            decoded.append(b"%" + part)
    return b"".join(decoded).decode("utf-8", "replace")


def segments(path: str) -> list[str]:
    """The segments of a path, resolved: without `.`, empty ones, and those that `..` takes away."""
    found: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del found[-1:]
        elif segment not in ("", "."):
            found.append(segment)
    return found
