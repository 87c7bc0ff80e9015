"""The application, with its settings and its lifespan: makes a cycle of each event.

All three ways in share this. They differ in the `Reply` that they pass: where a result goes.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Protocol, cast

from lamina.asgi.http import HTTPCycle, Sink
from lamina.asgi.lifespan import Lifespan
from lamina.errors import BadEvent, InvocationError, ResponseTooLarge
from lamina.response.buffered import BufferedSink, plain
from lamina.response.streamed import Stream, StreamedSink
from lamina.settings import Settings
from lamina.sources.registry import PASS_THROUGH, Codec, Source, StreamingCodec, find, load
from lamina.types import ASGIApp, Event, Request, Response, Result, Scope

logger = logging.getLogger("lamina")


class EventsCodec(Protocol):
    """The pass-through's codec: its requests go to a path of the user's choice."""

    def decode(self, event: Event, path: str) -> Request:
        """The event as a POST to `path`."""


class Reply(Protocol):
    """Where the outcome of one event goes: one of its methods is called, once."""

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

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.lifespan = Lifespan(app, settings.lifespan, settings.lifespan_timeout)
        streams = settings.invoke_mode == "response_stream"
        self._streamed = settings.stream_sources if streams else frozenset[str]()
        self._compress = None
        if settings.compression:
            from lamina.response.compression import Compression

            self._compress = Compression(settings.compression)

    def open(self, event: Event, context: Any, reply: Reply) -> HTTPCycle | None:
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
            request = self._decode(source, codec, event)
        except BadEvent as error:
            logger.warning("Malformed event (%s): %s", source.name, error)
            sink.fail(error.status, str(error))
            return None
        scope = self._scope(request, event, context)
        return HTTPCycle(scope, request.body, self._wrapped(sink, source, request, reply))

    def _decode(self, source: Source, codec: Codec, event: Event) -> Request:
        settings = self.settings
        if source is PASS_THROUGH:
            return cast(EventsCodec, codec).decode(event, settings.events_path)
        request = codec.decode(event)
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

            return WithoutBody(sink)
        if self._compress is not None and source is not PASS_THROUGH:
            sink = self._compress(sink, request.headers, source.name in self._streamed)
        if settings.error_status:
            from lamina.response.filters import FailingStatus

            sink = FailingStatus(sink, settings.error_status, reply.fail)
        return sink

    def _deliver(
        self, source: Source, codec: Codec, event: Event, reply: Reply, response: Response
    ) -> None:
        text_types = self.settings.text_types
        try:
            reply.send(codec.encode(response, event, text_types))
        except ResponseTooLarge as error:
            logger.error("%s", error)
            if source is PASS_THROUGH:
                reply.fail(error)
            else:
                reply.send(codec.encode(plain(500, str(error)), event, text_types))
        except InvocationError as error:
            reply.fail(error)


_UNSERVED = (
    "This event is no HTTP request, and ASGI_EVENTS_PATH is empty: "
    "set it to the path that such events are to be posted to, for example /events."
)
