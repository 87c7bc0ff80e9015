"""Pass-through: any event that is not HTTP becomes `POST /events`, its JSON answer the result.

JSON goes both ways as it is written: Python's numbers would lose digits (2.2999999999999998) and
exponents (1e400), its dictionaries a key that is there twice.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from lamella.errors import BadEvent, InvocationError
from lamella.percent import segments
from lamella.sources import body, paths
from lamella.types import JSONText, Request, Response, Result

SOURCE = "{source}"
"""A segment of the path of events, in whose place the name of the event's service comes."""

_SHOWN = 500  # characters of the application's answer in an error message


def decode(event: Any, path: str = "/events", raw: bytes | None = None) -> Request:
    """A POST to `path` with the event as its JSON body.

    `raw` is the event's JSON as Lambda sent it. awslambdaric hands on only what Python made of it,
    any JSON value: that is written as JSON again, and infinity, which was a number too large for
    Python, as the number 1e999.

    Raises `BadEvent` for what JSON cannot hold: NaN, and objects that only a direct call can pass.
    """
    try:
        if raw is None:
            text = json.dumps(event, separators=(",", ":"))
            data = (_spelt(text) if "Infinity" in text or "NaN" in text else text).encode()
        else:
            if b"NaN" in raw or b"Infinity" in raw:  # which Python reads, and JSON has not
                json.loads(raw, parse_constant=_refuse)
            data = raw
    except (TypeError, ValueError, RecursionError) as error:
        raise BadEvent(f"The event is not JSON: {error}. Pass only what JSON can hold.") from error
    decoded, raw_path = paths.from_decoded(path)
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(data)),
    ]
    return Request("POST", decoded, raw_path, b"", headers, data, server=("localhost", 443))


def encode(response: Response, path: str, text_types: tuple[str, ...]) -> Result:
    """What the invocation returns: the answer's JSON, None for an empty body, else the text.

    `path` is where the event was posted. Whether a body is JSON, it says itself: content types are
    often wrong, or missing.

    Raises `InvocationError` for a status of 400 or more, so that Lambda retries the event.
    """
    if response.status >= 400:
        text, _ = body.to_text(response.headers, response.body, text_types)
        raise InvocationError(
            f"The application answered {response.status} to POST {path}, an event that is not "
            f"HTTP: {text[:_SHOWN]!r}. Serve POST at this path, which ASGI_EVENTS_PATH names, and "
            "answer with a status below 400 to accept the event."
        )
    if not response.body:
        return None
    try:
        # As UTF-8 and nothing else (RFC 8259, section 8.1): from bytes, json would guess.
        # parse_int: Python refuses to read an integer of more than 4,300 digits as one.
        json.loads(response.body.decode(), parse_int=float, parse_constant=_refuse)
        return JSONText(response.body)
    except (ValueError, RecursionError):
        return body.to_text(response.headers, response.body, text_types)[0]


def _refuse(constant: str) -> NoReturn:
    """Python reads NaN and Infinity, JSON has neither."""
    raise ValueError(f"JSON has no {constant}")


def _spelt(text: str) -> str:
    """JSON as Python writes it, with infinity as a number; NaN is a ValueError."""
    import re

    def spell(found: re.Match[str]) -> str:
        part = found.group()
        return {"Infinity": "1e999"}.get(part, part) if part != "NaN" else _refuse(part)

    return re.sub(r'"(?:[^"\\]|\\.)*"|Infinity|NaN', spell, text)


def is_path_of_events(path: str, root_path: str, events_path: str) -> bool:
    """Whether a request's path leads where events are posted, however a router may read it.

    `root_path` may be cut off, and frameworks take `//events`, `/events/` or `/x/../events` for
    `/events`.
    """
    wanted = segments(events_path)
    for found in (segments(path), segments(path.removeprefix(root_path))):
        if len(found) == len(wanted) and all(
            here in (segment, SOURCE) for here, segment in zip(wanted, found, strict=True)
        ):
            return True
    return False
