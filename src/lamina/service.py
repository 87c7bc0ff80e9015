"""The application, with its settings and its lifespan: makes a cycle of each event.

All three ways in share this. They differ in the `Reply` that they pass: where a result goes.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from lamina.asgi.http import HTTPCycle, Sink
from lamina.asgi.lifespan import Lifespan
from lamina.errors import BadEvent, InvocationError, ResponseTooLarge
from lamina.interfaces import adapt
from lamina.response.buffered import BufferedSink, plain
from lamina.response.streamed import Stream, StreamedSink
from lamina.response.wire import Limit, encode_result
from lamina.served import Served, set_served
from lamina.settings import Settings
from lamina.sources.registry import (
    PASS_THROUGH,
    WEBSOCKET,
    Codec,
    Source,
    StreamingCodec,
    find,
    load,
)
from lamina.types import AnyASGIApp, Cycle, Event, Request, Response, Result, Scope

if TYPE_CHECKING:
    from lamina.websocket.run import WebSocketRun

logger = logging.getLogger("lamina")


TENANT_HEADER = b"x-amz-tenant-id"
"""By which an invocation's caller names the tenant of an isolated function.
Source: https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation-invoke.html."""


class PlacedCodec(Protocol):
    """The codec of a source whose events have no path: a setting says it."""

    def decode(self, event: Event, path: str) -> Request:
        """The event as a request to `path`."""


class Reply(Protocol):
    """Where the outcome of one event goes: one of its methods is called, once."""

    at_once: bool
    """Whether a result leaves before the application has ended."""

    def send(self, result: Result) -> None:
        """Take the whole result. Raises `ResponseTooLarge` where Lambda would refuse it."""

    def fail(self, error: InvocationError) -> None:
        """Fail the invocation."""


class StreamingReply(Reply, Protocol):
    """A reply that can go out as it comes."""

    def stream(self) -> Stream:
        """Open a streamed answer."""


class Service:
    """An application ready to serve events.

    Raises `SettingError` where a setting asks for what the function does not carry.
    """

    def __init__(self, app: AnyASGIApp, settings: Settings) -> None:
        self.app = adapt(app, settings.interface)
        self.settings = settings
        self.lifespan = Lifespan(self.app, settings.lifespan)
        streams = settings.invoke_mode == "response_stream"
        self._streamed = settings.stream_sources if streams else frozenset[str]()
        self._compress = None
        if settings.compression:
            from lamina.response.compression import Compression

            self._compress = Compression(settings.compression)
        self._served = Served(self.app, settings, self.lifespan.scope_state)
        set_served(self._served)

    def open(self, event: Event, context: Any, reply: Reply) -> Cycle | None:
        """The cycle that answers `event` to `reply`; None where it is answered already.

        That is so for a malformed event, and for one that nobody is to serve.
        """
        source = find(event)
        if source is PASS_THROUGH and not self.settings.events_path:
            reply.fail(InvocationError(_UNSERVED))
            return None
        codec = load(source)
        sink = self._sink(source, codec, event, reply)
        try:
            if source is WEBSOCKET:
                return self._open_websocket(codec, event, context, reply)
            request = self._decode(source, codec, event)
        except BadEvent as error:
            logger.warning("Malformed event (%s): %s", source.name, error)
            if source is PASS_THROUGH:
                reply.fail(InvocationError(str(error)))
            else:
                _refuse(event, error, sink)
            return None
        scope = self._scope(request, event, context)
        return HTTPCycle(scope, request.body, self._wrapped(sink, source, request, reply))

    def _open_websocket(
        self, codec: Codec, event: Event, context: Any, reply: Reply
    ) -> WebSocketRun:
        from lamina.websocket.run import WebSocketRun

        connects = event["requestContext"]["eventType"] == "CONNECT"
        request = self._decode(WEBSOCKET, codec, event) if connects else None
        return WebSocketRun(self._served, event, context, reply, request)

    def _decode(self, source: Source, codec: Codec, event: Event) -> Request:
        settings = self.settings
        if source is PASS_THROUGH:
            return cast(PlacedCodec, codec).decode(event, settings.events_path)
        if source is WEBSOCKET:
            request = cast(PlacedCodec, codec).decode(event, settings.websocket_path)
        else:
            request = codec.decode(event)
        _drop_tenant(request)
        if request.body:
            _add_length(request)
        if request.root_path or settings.base_path:
            from lamina.sources.mount import mount

            request = mount(request, settings.base_path, settings.base_path_mode)
        if settings.forwarded_host:
            from lamina.sources.trust import forwarded

            request = forwarded(request, settings.forwarded_host)
        if settings.authorization_source:
            from lamina.sources.trust import authorization

            request = authorization(request, settings.authorization_source)
        return request

    def _scope(self, request: Request, event: Event, context: Any) -> Scope:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": request.http_version,
            "method": request.method,
            "scheme": request.scheme,
            "path": request.path,
            "raw_path": request.raw_path,
            "query_string": request.query_string,
            "root_path": request.root_path,
            "headers": request.headers,
            "client": request.client,
            "server": request.server,
            "state": self.lifespan.scope_state.copy(),
            "extensions": {"http.response.pathsend": {}},
            "aws.event": event,
            "aws.context": context,
        }

    def _sink(self, source: Source, codec: Codec, event: Event, reply: Reply) -> Sink:
        if source.name in self._streamed:
            stream = cast(StreamingReply, reply).stream()
            return StreamedSink(stream, cast(StreamingCodec, codec).prelude)
        return BufferedSink(partial(self._deliver, source, codec, event, reply))

    def _wrapped(self, sink: Sink, source: Source, request: Request, reply: Reply) -> Sink:
        """The sink with what the request and the settings ask for; the last one comes first."""
        settings = self.settings
        if settings.exclude_headers:
            from lamina.response.filters import WithoutHeaders

            sink = WithoutHeaders(sink, settings.exclude_headers)
        if request.method == "HEAD":
            from lamina.response.filters import WithoutBody

            sink = WithoutBody(sink)
        elif self._compress is not None and source is not PASS_THROUGH:
            sink = self._compress(sink, request.headers, source.name in self._streamed)
        if settings.error_status:
            from lamina.response.filters import FailingStatus

            sink = FailingStatus(sink, settings.error_status, reply.fail)
        return sink

    def _deliver(
        self, source: Source, codec: Codec, event: Event, reply: Reply, response: Response
    ) -> int:
        """Send the result; the status that the client gets."""
        text_types = self.settings.text_types
        try:
            result = codec.encode(response, event, text_types)
            if source.limit is not None:
                _check_size(source, source.limit(event), len(response.body), result)
            reply.send(result)
        except ResponseTooLarge as error:
            if source is PASS_THROUGH:
                reply.fail(error)
            else:
                logger.error("%s", error)
                response = plain(500, "The response is too large to be delivered.")
                reply.send(codec.encode(response, event, text_types))
        except InvocationError as error:
            reply.fail(error)
        return response.status


def _add_length(request: Request) -> None:
    """REST APIs take content-length off; Django and others read a body no further than it says."""
    for name, _ in request.headers:
        if name in (b"content-length", b"transfer-encoding"):
            return
    request.headers.append((b"content-length", b"%d" % len(request.body)))


def _drop_tenant(request: Request) -> None:
    """The context says the tenant; a header of that name is the client's, and proves nothing."""
    for name, _ in request.headers:
        if name == TENANT_HEADER:
            request.headers[:] = [pair for pair in request.headers if pair[0] != TENANT_HEADER]
            return


def _refuse(event: Event, error: BadEvent, sink: Sink) -> None:
    """Answer a malformed event: what is wrong with it is for the log, not for a client."""
    from lamina.sources.fields import asks_for_head

    if asks_for_head(event):
        from lamina.response.filters import WithoutBody

        sink = WithoutBody(sink)
    sink.fail(error.status, str(error) if error.status == 413 else _MALFORMED)


def _check_size(source: Source, limit: int, body_size: int, result: Result) -> None:
    """Raise `ResponseTooLarge` where an event source takes less than Lambda does."""
    # JSON writes a byte in six at most (\u0000), and headers are small: most need no second look.
    if body_size * 12 > limit:
        encode_result(result, Limit(f"the event source {source.name!r}", limit))


_MALFORMED = "Bad Request: the event is malformed."

_UNSERVED = (
    "This event is no HTTP request, and ASGI_EVENTS_PATH is empty: "
    "set it to the path that such events are to be posted to, for example /events."
)
