"""Headers: from an event's maps to byte pairs, and from byte pairs to a result's maps.

Bytes of HTTP headers are latin-1 (ASGI; RFC 9110, section 5.5). A value that latin-1 cannot
hold came from UTF-8 bytes that the event source decoded, and goes back to these.
"""

from __future__ import annotations

from typing import Any

from lamina.errors import ApplicationError
from lamina.sources.fields import malformed, mapping, strings, utf8
from lamina.types import Event, Headers


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


def check_headers(headers: Headers) -> None:
    """Refuse response headers that would break out of their line, or that are not bytes.

    Raises `ApplicationError` for CR, LF or NUL in a name or a value (RFC 9110, section 5.5),
    and for anything but pairs of bytes.
    """
    for header in headers:
        try:
            name, value = header
            line = b"%b%b" % (name, value)
            unsafe = b"\n" in line or b"\r" in line or b"\0" in line
        except (TypeError, ValueError) as error:
            raise ApplicationError(
                f"The response header {header!r} is not a pair of bytes. "
                "ASGI header names and values are bytes: encode them as latin-1."
            ) from error
        if unsafe:
            raise ApplicationError(
                f"The response header {name!r} holds a line break or a NUL: {value!r}. It could "
                "smuggle in other headers and was refused: remove these bytes in the application."
            )


def to_joined(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """(headers, cookies) for results with one string per name: duplicates joined by ", ".

    A `set-cookie` cannot be joined (RFC 6265, section 3), so these come as a list of their own.
    """
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in headers:
        key, content = name.decode("latin-1"), value.decode("latin-1")
        if key == "set-cookie":
            cookies.append(content)
        elif key in joined:
            joined[key] = f"{joined[key]}, {content}"
        else:
            joined[key] = content
    return joined, cookies


def to_lists(headers: Headers) -> dict[str, list[str]]:
    """Every name with the list of its values, in the order they came."""
    lists: dict[str, list[str]] = {}
    for name, value in headers:
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
