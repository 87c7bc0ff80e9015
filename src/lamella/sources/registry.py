"""The table of event sources: which one an event came from, and where its codec is.

A new source is one module with `decode` and `encode`, and one row here. Most codecs are imported
when their first event arrives, because every import is paid for in a cold start.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from lamella.types import Event, Headers, Request, Response, Result


class Codec(Protocol):
    """What a codec module offers: pure functions, safe to call from anywhere."""

    def decode(self, event: Event) -> Request:
        """The request in the event. Raises `BadEvent` and nothing else."""

    def encode(self, response: Response, event: Event, text_types: tuple[str, ...], /) -> Result:
        """The buffered result of the invocation that brought `event`."""


class StreamingCodec(Codec, Protocol):
    """A codec whose source takes streamed responses too."""

    def prelude(self, status: int, headers: Headers) -> dict[str, Any]:
        """The JSON object that goes in front of a streamed body."""


class Family(Enum):
    """How the service serves an event."""

    HTTP = "a request, answered by `codec.encode`"
    WEBSOCKET = "a handshake, a message or the end of a WebSocket"
    EVENTS = "no request at all: it is posted to the application as JSON"


class Source(NamedTuple):
    """One event source: its name, whether an event is its, the module with its codec.

    `claims` takes any JSON object and never raises. `limit` gives the bytes of JSON that the
    source takes as an event's result, where that is less than Lambda's own limit. `family` says
    what its events are: an HTTP request, a WebSocket's life, or neither.
    """

    name: str
    claims: Callable[[Event], bool]
    module: str
    limit: Callable[[Event], int] | None = None
    family: Family = Family.HTTP


def find(event: Any) -> Source:
    """The source of `event`, which may be any JSON value; `PASS_THROUGH` where none claims it."""
    if isinstance(event, dict):
        for source in SOURCES:
            if source.claims(event):
                return source
    return PASS_THROUGH


def load(source: Source) -> Codec:
    """The source's codec, imported on first use."""
    # Looked up here first: import_module takes longer to find the same.
    module = sys.modules.get(source.module) or import_module(source.module)
    return cast(Codec, module)


def preload() -> None:
    """Import the codecs of the front doors that most functions have, which share their modules.

    In init this costs what it saves in the first request, for which somebody waits.
    """
    for source in SOURCES:
        if source.name in ("url", "http", "rest"):
            load(source)


def _context(event: Event) -> Event:
    context = event.get("requestContext")
    return context if isinstance(context, dict) else {}


def _is_payload_v2(event: Event) -> bool:
    # An authorizer's event looks like a request but for its routeArn.
    if event.get("version") != "2.0" or "routeArn" in event:
        return False
    return isinstance(_context(event).get("http"), dict)


def _is_function_url(event: Event) -> bool:
    if not _is_payload_v2(event):
        return False
    domain = _context(event).get("domainName")
    return isinstance(domain, str) and ".lambda-url." in domain


def _is_payload_v1(event: Event) -> bool:
    # methodArn marks an authorizer's event, connectionId one of a WebSocket API.
    return (
        "httpMethod" in event
        and "requestContext" in event
        and "methodArn" not in event
        and "connectionId" not in _context(event)
    )


def _is_rest(event: Event) -> bool:
    if not _is_payload_v1(event):
        return False
    context = _context(event)
    return "resource" in event or "resourcePath" in context or "resourceId" in context


def _is_edge(event: Event) -> bool:
    records = event.get("Records")
    if not isinstance(records, list) or not records or not isinstance(records[0], dict):
        return False
    cloudfront = records[0].get("cf")
    # Response events carry a request too, but there the origin has answered already.
    return isinstance(cloudfront, dict) and "request" in cloudfront and "response" not in cloudfront


def _is_websocket(event: Event) -> bool:
    # methodArn marks the event of an authorizer, which looks the same but for that.
    context = _context(event)
    return (
        "connectionId" in context
        and context.get("eventType") in ("CONNECT", "MESSAGE", "DISCONNECT")
        and "methodArn" not in event
    )


_MEGABYTE = 1024 * 1024


def _edge_limit(event: Event) -> int:
    """A generated response "including headers and body": 40 KB for viewers, 1 MB for origins.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
    """
    config = event["Records"][0]["cf"].get("config")
    kind = config.get("eventType") if isinstance(config, dict) else None
    return 40 * 1024 if kind == "viewer-request" else _MEGABYTE


SOURCES: tuple[Source, ...] = (
    Source("url", _is_function_url, "lamella.sources.function_url"),
    Source("http", _is_payload_v2, "lamella.sources.http_api"),
    Source(
        "http-v1",
        lambda event: (
            event.get("version") == "1.0" and _is_payload_v1(event) and "apiId" in _context(event)
        ),
        "lamella.sources.http_api_v1",
    ),
    Source("rest", _is_rest, "lamella.sources.rest"),
    # ALB's quota, "the response JSON", is on the page that alb.py names.
    Source(
        "alb", lambda event: "elb" in _context(event), "lamella.sources.alb", lambda _: _MEGABYTE
    ),
    Source(
        "lattice",
        lambda event: event.get("version") == "2.0" and "serviceArn" in _context(event),
        "lamella.sources.lattice",
    ),
    Source(
        "lattice-v1",
        lambda event: "raw_path" in event and "method" in event,
        "lamella.sources.lattice",
    ),
    Source("edge", _is_edge, "lamella.sources.edge", _edge_limit),
    Source("websocket", _is_websocket, "lamella.sources.websocket", family=Family.WEBSOCKET),
)
"""Every source that has a codec of its own, the more particular test first."""

PASS_THROUGH = Source("events", lambda _event: True, "lamella.sources.events", family=Family.EVENTS)
"""Where every other event goes: queues, schedules, agents, authorizers, bare calls."""
