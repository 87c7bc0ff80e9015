"""The vocabulary that every room shares: ASGI's names, a request and a response.

Values only: nothing here does I/O, reads the environment or knows an event source.

Names and shapes of scope, messages and headers: ASGI specification 3.0, HTTP & WebSocket
message format 2.5 (https://asgi.readthedocs.io/en/latest/specs/www.html).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

AnyASGIApp = Callable[..., Any]
"""An application as frameworks annotate theirs, ASGI 2 and WSGI included: what users pass.

Litestar and Quart have dictionaries of their own for scope and messages, Django has `dict`, Sanic
nothing: to a type checker none of them is an `ASGIApp`.
"""

Headers = list[tuple[bytes, bytes]]
"""Header pairs in the order received; names lower case; latin-1 bytes; duplicates kept."""

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The bytes of a token, which methods and header names are (RFC 9110, section 5.6.2)."""

CR, LF, NUL = b"\r\n\0"
"""What no header's value may hold, as numbers: Python finds a number in bytes much faster than
bytes in bytes."""

Event = dict[str, Any]
"""A Lambda event: the JSON object of one invocation, parsed."""

Result = Any
"""What a handler returns: anything that JSON can hold."""


class JSONText(NamedTuple):
    """A `Result` that is JSON text already, in UTF-8: it leaves as the application wrote it."""

    text: bytes


class Request(NamedTuple):
    """An HTTP request, whichever event source it came from.

    `path` is percent-decoded text, `raw_path` the percent-encoded bytes without the query;
    both keep any prefix, and `root_path` is the part of `path` that is a mount point
    (a stage or a base path), or "". `client` is None where the source does not tell.
    """

    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Headers
    body: bytes
    scheme: str = "https"
    http_version: str = "1.1"
    server: tuple[str, int] | None = None
    client: tuple[str, int] | None = None
    root_path: str = ""


class Response(NamedTuple):
    """A complete HTTP response of the application: header names lower case, `body` whole."""

    status: int
    headers: Headers
    body: bytes
