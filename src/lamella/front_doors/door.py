"""What a front door is: an event source seen from AWS's side, as two pure translations.

An HTTP request becomes the event that the source would send, and the function's result the
HTTP response that the source would make of it. This is on purpose no user of `lamella.sources`:
two independent readings of AWS's formats check each other.
"""

from __future__ import annotations

import abc
import enum
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

Pairs = list[tuple[str, str]]
"""Header pairs in order, names lower case unless said otherwise.

Front doors read a request's bytes as UTF-8, and write a response's text as latin-1."""

API_ID = "local00000"
ACCOUNT_ID = "123456789012"
"""The account of every ARN: AWS's own documentation number, so that nobody mistakes it."""
REGION = "us-east-1"
MAX_EVENT = 6 * 1024 * 1024
"""Bytes of an event in a synchronous invocation: 6 MiB."""


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came in; `raw_path` and `query` exactly as sent, percent signs and all.

    Bytes of `headers` that are not UTF-8 may be surrogates, as in PEP 383: so a limit counts what
    the client sent.
    """

    method: str
    raw_path: str
    query: str
    headers: Pairs
    body: bytes = b""
    scheme: str = "http"
    client_ip: str = "127.0.0.1"
    port: int = 80
    at: float = field(default_factory=time.time)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def header(self, name: str) -> str | None:
        """The last value of a header, or None; `name` is lower case."""
        values = [value for key, value in self.headers if key == name]
        return values[-1] if values else None

    def as_read(self) -> HttpRequest:
        """As the function sees it: U+FFFD where the headers are not UTF-8."""
        headers = [
            (name, value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
            for name, value in self.headers
        ]
        return replace(self, headers=headers)


class HttpResponse(NamedTuple):
    """A complete response to the client."""

    status: int
    headers: Pairs
    body: bytes


class Trouble(enum.Enum):
    """Why a client gets the source's own answer and not the function's."""

    FUNCTION_ERROR = "the function failed"
    MALFORMED = "the function's result is not what this source expects"
    BAD_PRELUDE = "the streamed answer does not begin with a valid prelude"
    TIMEOUT = "the function did not answer in the source's time limit"
    TOO_LARGE = "the request is too large"
    HEADERS_TOO_LARGE = "the request's headers are too large"
    URL_TOO_LONG = "the request's URL is too long"
    THROTTLED = "no environment is free"
    NO_ROUTE = "the path is outside of the stage"


class Malformed(Exception):
    """The function's result cannot be made a response; the message says why, for the log."""


class Refused(Exception):
    """The source answers the request itself."""

    def __init__(self, trouble: Trouble, detail: str = "") -> None:
        super().__init__(detail or trouble.value)
        self.trouble = trouble
        self.detail = detail


class HeadLimit(NamedTuple):
    """At most so many bytes of what `measure` counts in a request; `what` says it in words."""

    what: str
    measure: Callable[[HttpRequest], int]
    most: int
    trouble: Trouble = Trouble.HEADERS_TOO_LARGE


class FrontDoor(abc.ABC):
    """One event source. `max_body` is bytes; `time_limit` is seconds, and `silence` the seconds
    that a stream may say nothing. None: the source has no such limit of its own.

    `label` is what AWS calls it, `host` the host name that it would have on AWS. With
    `hold_chunks` a small chunk of a stream waits for the next one.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    host: ClassVar[str]
    max_body: ClassVar[int] = MAX_EVENT
    head_limits: ClassVar[tuple[HeadLimit, ...]] = ()
    needs_prelude: ClassVar[bool] = True
    """Whether a streamed answer must have one."""
    streaming: bool = False
    time_limit: float | None = None
    silence: float | None = None
    hold_chunks: bool = False

    @abc.abstractmethod
    def event(self, request: HttpRequest) -> dict[str, Any]:
        """The event of a request. Raises Refused where the source answers itself."""

    @abc.abstractmethod
    def response(self, payload: bytes, request: HttpRequest, /) -> HttpResponse:
        """The response of a buffered result. Raises Malformed."""

    def stream_head(self, _prelude: Mapping[str, Any], /) -> HttpResponse:
        """Status and headers (body empty) of a streamed answer's prelude. Raises Malformed."""
        raise Malformed(f"the event source {self.name!r} takes no streamed answers")

    @abc.abstractmethod
    def trouble(self, trouble: Trouble) -> HttpResponse:
        """The source's own answer."""

    def added_headers(self, _request: HttpRequest, /) -> Pairs:
        """What the source adds to every response."""
        return []

    def base_url(self, origin: str) -> str:
        """Where the function's root is, for `origin` such as http://127.0.0.1:3000."""
        return origin


def json_response(status: int, value: Any) -> HttpResponse:
    """A JSON answer of the source itself."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return HttpResponse(status, [("content-type", "application/json")], body)


def html_response(status: int, title: str) -> HttpResponse:
    """An HTML page such as load balancers answer."""
    page = (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return HttpResponse(
        status, [("server", "awselb/2.0"), ("content-type", "text/html")], page.encode()
    )
