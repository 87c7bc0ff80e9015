"""Headers: from an event's maps to byte pairs, and from byte pairs to a result's maps.

Bytes of HTTP headers are latin-1 (ASGI; RFC 9110, section 5.5). A value that latin-1 cannot
hold came from UTF-8 bytes that the event source decoded, and goes back to these.
"""

from __future__ import annotations

from typing import Any

from lamella.sources.fields import malformed, mapping, strings, utf8
from lamella.types import Event, Headers


def from_single(values: Event) -> Headers:
    """Pairs out of a map of strings (HTTP API, Function URL): names lower case, nulls skipped."""
    try:
        return [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in values.items()]
    except (AttributeError, UnicodeEncodeError):
        return [_pair(k, v) for k, v in values.items() if v is not None]


def from_multi(values: Event) -> Headers:
    """Pairs out of a map of lists of strings: duplicates kept, cookies in one header."""
    pairs: Headers = []
    for name, held in values.items():
        key = _encode(name.lower())
        pairs += [(key, _encode(value)) for value in strings(held, name)]
    return join_cookies(pairs)


def from_both(event: Event) -> Headers:
    """Pairs out of `multiValueHeaders`, and of `headers` what the former lacks (REST API, ALB)."""
    single, multi = mapping(event, "headers"), mapping(event, "multiValueHeaders")
    if not multi:
        return from_multi(single)
    found = from_multi(multi)
    if single.keys() <= multi.keys():
        return found
    names = {name for name, _ in found}
    return found + [pair for pair in from_multi(single) if pair[0] not in names]


def _pair(name: str, value: Any) -> tuple[bytes, bytes]:
    if not isinstance(value, str):
        raise malformed(f"headers.{name}", "a string", value)
    return _encode(name.lower()), _encode(value)


def _encode(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return utf8(value)


def join_cookies(headers: Headers) -> Headers:
    """Several `cookie` headers as one, where the first was.

    HTTP/2 clients split them, and they have to be joined again before they leave HTTP/2
    (RFC 9113, section 8.2.3): frameworks look at one header only.
    """
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    at = [name for name, _ in headers].index(b"cookie")
    rest = [pair for pair in headers if pair[0] != b"cookie"]
    return [*rest[:at], (b"cookie", b"; ".join(cookies)), *rest[at:]]


_SINGLETONS = frozenset(
    b"access-control-allow-credentials access-control-allow-origin access-control-max-age age"
    b" content-disposition content-length content-location content-md5 content-range content-type"
    b" cross-origin-embedder-policy cross-origin-opener-policy date etag expires last-modified"
    b" location origin-agent-cluster refresh retry-after server sourcemap"
    b" strict-transport-security".split()
)
"""Response headers whose value is no list: two of them must not be joined by a comma.

RFC 9110, section 5.3, and for each the page that defines it; RFC 6797 says that the first counts.
"""

_DROPPED = b"transfer-encoding"
"""About the connection to the client, which is the event source's: it frames the body itself."""


def to_joined(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """(headers, cookies) for results with one string per name: duplicates joined by ", ".

    A `set-cookie` cannot be joined (RFC 6265, section 3), so these come as a list of their own.
    Of a header that is no list the first one stays.
    """
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in headers:
        key, content = name.decode("latin-1"), value.decode("latin-1")
        if key == "set-cookie":
            cookies.append(content)
        elif key not in joined:
            if name != _DROPPED:
                joined[key] = content
        elif name not in _SINGLETONS:
            joined[key] = f"{joined[key]}, {content}"
    return joined, cookies


def to_lists(headers: Headers) -> dict[str, list[str]]:
    """Every name with the list of its values, in the order they came."""
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        if name != _DROPPED:
            lists.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return lists


def to_single(headers: Headers) -> dict[str, str]:
    """One string per name, several cookies included: for results that have only that map.

    Names differ to a JSON object when their case differs, and not to an HTTP client: so
    `set-cookie`, `Set-cookie`, `sEt-cookie`... carry one cookie each. AWS documents one cookie
    for this mode; the trick is what other adapters have long sent through ALB.
    """
    joined, cookies = to_joined(headers)
    joined.update((_cased("set-cookie", number), cookie) for number, cookie in enumerate(cookies))
    return joined


def _cased(name: str, number: int) -> str:
    """The spelling of `name` whose upper-case letters are the bits of `number`."""
    letters = []
    for letter in name:
        upper = letter.isalpha() and number & 1
        letters.append(letter.upper() if upper else letter)
        number >>= letter.isalpha()
    return "".join(letters)
