"""Query strings: the bytes after the `?`, rebuilt where the event has only a parsed form."""

from __future__ import annotations

from collections.abc import Iterable

from lamella.percent import UNRESERVED
from lamella.sources.paths import PRINTABLE, quote

_KEY = PRINTABLE.translate(None, b"&=#")
_VALUE = PRINTABLE.translate(None, b"&#")

Pairs = Iterable[tuple[str, str]]


def from_raw(query: str) -> bytes:
    """A raw query string as bytes: as the client sent it, only non-ASCII and controls quoted."""
    return quote(query, PRINTABLE)


def from_decoded(pairs: Pairs) -> bytes:
    """Encode decoded parameters (REST API, HTTP API 1.0).

    The order of different keys and the difference between `?a` and `?a=` are lost before the
    event reaches us. A space becomes `%20`, which form and URI decoders agree on.
    """
    return _join(pairs, UNRESERVED, UNRESERVED)


def from_encoded(pairs: Pairs) -> bytes:
    """Join parameters that are still encoded (ALB), never encoding an escape or a `+` again."""
    return _join(pairs, _KEY, _VALUE)


def _join(pairs: Pairs, key: bytes, value: bytes) -> bytes:
    return b"&".join([quote(k, key) + b"=" + quote(v, value) for k, v in pairs])
