"""Pass-through: any event that is not HTTP becomes `POST /events`, its JSON answer the result."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, NoReturn

from lamella.errors import BadEvent, InvocationError
from lamella.sources import body, paths
from lamella.types import Request, Response, Result

_SHOWN = 500  # characters of the application's answer in an error message


def decode(event: Any, path: str = "/events") -> Request:
    """A POST to `path` with the event as its JSON body; `event` is any JSON value.

    Raises `BadEvent` for what JSON cannot hold, which only a direct call can pass.
    """
    try:
        data = json.dumps(event, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadEvent(f"The event is not JSON: {error}. Pass only what JSON can hold.") from error
    decoded, raw_path = paths.from_decoded(path)
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(data)),
    ]
    return Request("POST", decoded, raw_path, b"", headers, data, server=("localhost", 443))


def encode(response: Response, _event: Any, text_types: tuple[str, ...]) -> Result:
    """What the invocation returns: the parsed JSON, None for an empty body, else the text.

    Whether a body is JSON, it says itself: content types are often wrong, or missing.

    Raises `InvocationError` for a status of 400 or more, so that Lambda retries the event.
    """
    if response.status >= 400:
        text, _ = body.to_text(response.headers, response.body, text_types)
        raise InvocationError(
            f"The application answered {response.status} to an event that is not HTTP: "
            f"{text[:_SHOWN]!r}. Serve POST at ASGI_EVENTS_PATH and answer with a status "
            "below 400 to accept the event."
        )
    if not response.body:
        return None
    try:
        # As UTF-8 and nothing else (RFC 8259, section 8.1): from bytes, json would guess.
        text = response.body.decode()
        return json.loads(text, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return body.to_text(response.headers, response.body, text_types)[0]


def _refuse(constant: str) -> NoReturn:
    """Python reads NaN and Infinity, JSON has neither: the body is text."""
    raise ValueError(constant)


def _finite(digits: str) -> float:
    """A number; one that is too large for Python, such as 1e999, would leave as Infinity."""
    number = float(digits)
    return number if isfinite(number) else _refuse(digits)
