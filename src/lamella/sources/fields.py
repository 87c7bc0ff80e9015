"""Reading an event: null and absent mean the same, a value of the wrong type is a `BadEvent`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from lamella.errors import BadEvent
from lamella.types import TOKEN, Event


def malformed(key: str, expected: str, value: Any) -> BadEvent:
    """The error that says which field of the event is wrong, what it should be and what it is."""
    shown = repr(value)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return BadEvent(
        f"The event's {key!r} must be {expected}, but is {shown}. "
        "Send the event in the shape its event source documents."
    )


def text(holder: Event, key: str, default: str = "") -> str:
    """The string `holder[key]`, or `default` where it is null, empty or absent."""
    value = holder.get(key)
    if isinstance(value, str):
        return value or default
    if value is None:
        return default
    raise malformed(key, "a string", value)


def mapping(holder: Event, key: str) -> Event:
    """The object `holder[key]`, or an empty one where it is null or absent."""
    value = holder.get(key)
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    raise malformed(key, "an object", value)


def method(holder: Event, key: str) -> str:
    """The request method in upper case: the one field that has no default worth guessing."""
    value = text(holder, key)
    if not is_token(value):
        raise malformed(key, "an HTTP method", holder.get(key))
    return value.upper()


@lru_cache(maxsize=512)
def is_token(word: str) -> bool:
    """Whether `word` may be a method or a header's name (RFC 9110, section 5.6.2)."""
    return word.isascii() and word != "" and not word.encode().translate(None, TOKEN)


_METHODS: tuple[tuple[Any, ...], ...] = (
    ("httpMethod",),
    ("method",),
    ("requestContext", "http", "method"),
    ("Records", 0, "cf", "request", "method"),
)


def asks_for_head(event: Any) -> bool:
    """Whether an event of any source asks for HEAD, however malformed it is else."""
    for path in _METHODS:
        value = event
        for key in path:
            try:
                value = value[key]
            except (LookupError, TypeError):
                break
        else:
            if value in ("HEAD", "head"):
                return True
    return False


def strings(value: Any, key: str) -> list[str]:
    """A list of strings out of a list, a single string or null: event sources use all three."""
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, str):
                raise malformed(key, "a list of strings", value)
        return value
    if isinstance(value, str):
        return [value]
    if value is None:
        return []
    raise malformed(key, "a string or a list of strings", value)


def flatten(values: Event) -> Iterator[tuple[str, str]]:
    """The (name, value) pairs of a map from names to a string or a list of strings."""
    for name, value in values.items():
        for item in strings(value, name):
            yield name, item


def utf8(value: str) -> bytes:
    """UTF-8 bytes of `value`; JSON can spell half a surrogate pair, which has none: `BadEvent`."""
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise malformed(value[:40], "text without lone surrogates", value) from error
