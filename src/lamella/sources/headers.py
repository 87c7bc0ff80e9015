"""Headers: from an event's maps to byte pairs, and from byte pairs to a result's maps.

An event source reads a request's headers as UTF-8. So the bytes that the client sent are the UTF-8
of the event's text, whether latin-1 has its characters ("Córdoba") or not ("Srīperumbūdūr", as ALB
hands on; https://github.com/honojs/hono/issues/4432). In a result, text is latin-1: one character
for each byte (RFC 9110, section 5.5).
"""

from __future__ import annotations

from functools import lru_cache

from lamella.sources.fields import is_token, malformed, mapping, strings, text, utf8
from lamella.types import CR, LF, NUL, Event, Headers


def from_single(values: Event) -> Headers:
    """Pairs out of a map of strings (HTTP API, Function URL): names lower case, nulls skipped.

    Raises `BadEvent`, as all of these do: for a name that is no token, for a value that is no
    string, and for CR, LF or NUL in one, which no HTTP request can have sent.
    """
    try:
        pairs = [(_name(k), v.encode()) for k, v in values.items()]
        text_of_all = "".join(values.values())
    except (AttributeError, UnicodeEncodeError):  # no string, or half a surrogate pair
        held = [(k, text(values, k)) for k, v in values.items() if v is not None]
        return _checked([(_name(k), utf8(v)) for k, v in held])
    if "\n" in text_of_all or "\r" in text_of_all or "\0" in text_of_all:
        _checked(pairs)
    return pairs


def from_multi(values: Event) -> Headers:
    """Pairs out of a map of lists of strings: duplicates kept, cookies in one header."""
    pairs: Headers = []
    for name, held in values.items():
        key = _name(name)
        pairs += [(key, utf8(value)) for value in strings(held, name)]
    return join_cookies(_checked(pairs))


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


@lru_cache(maxsize=512)
def _name(name: str) -> bytes:
    if not is_token(name):
        raise malformed("headers", "an object whose keys are header names", name)
    return name.lower().encode()


_USUAL = """
    accept accept-encoding accept-language authorization cache-control content-length content-type
    cookie host origin referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest
    sec-fetch-mode sec-fetch-site user-agent x-amzn-tls-cipher-suite x-amzn-tls-version
    x-amzn-trace-id x-forwarded-for x-forwarded-port x-forwarded-proto
"""
"""Names in nearly every event: looked at here, in init, so that no first request has to."""

for _usual in _USUAL.split():
    _name(_usual)


def _checked(pairs: Headers) -> Headers:
    """`pairs`, unless a value would write header lines of its own (RFC 9110, section 5.5)."""
    values = b"".join([value for _, value in pairs])
    if LF in values or CR in values or NUL in values:
        name, value = next(p for p in pairs if p[1].translate(None, b"\r\n\0") != p[1])
        raise malformed(f"headers.{name.decode()}", "text without CR, LF and NUL", value)
    return pairs


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
    for number, cookie in enumerate(cookies):
        # The letters that are upper case are the bits of the cookie's number.
        name = ""
        for letter in "set-cookie":
            name += letter.upper() if number & 1 and letter != "-" else letter
            number >>= letter != "-"
        joined[name] = cookie
    return joined
