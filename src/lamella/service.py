"""The application, with its settings and its lifespan: makes a cycle of each event.

All ways in share this. They differ in the `Outcome` that they pass: where a result goes.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

from lamella import records
from lamella.asgi.http import HTTPCycle
from lamella.asgi.lifespan import Lifespan
from lamella.errors import BadEvent, InitError, InvocationError, ResponseTooLarge
from lamella.interfaces import adapt
from lamella.invocation import Invocation
from lamella.response.sinks import BufferedSink, StreamedSink, plain
from lamella.response.wire import Limit, check_size
from lamella.served import Served
from lamella.settings import Settings
from lamella.sources.fields import asks_for_head
from lamella.sources.preparation import Preparation
from lamella.sources.registry import Codec, Family, Source, StreamingCodec, find, load, preload
from lamella.types import AnyASGIApp, Event, Headers, Request, Response, Scope

if TYPE_CHECKING:
    from lamella.ports import Cycle, Outcome, Sink, StreamingOutcome

logger = logging.getLogger("lamella")


class Service:
    """An application ready to serve events.

    Raises `SettingError` where a setting asks for what the function does not carry.
    """

    def __init__(self, app: AnyASGIApp, settings: Settings) -> None:
        if "t" in getattr(sys, "abiflags", ""):
            raise InitError(
                f"{sys.executable} is a free-threaded build of Python, which Lamella was not tried "
                "on: use the ordinary build, whose name does not end in t.",
                "Runtime.UnsupportedPython",
            )
        records.install()
        self.app = adapt(app, settings.interface)
        self.settings = settings
        self.lifespan = Lifespan(self.app, settings.lifespan)
        self.served = Served(self.app, settings, self.lifespan.scope_state)
        self._preparation = Preparation(
            base_path=settings.base_path,
            base_path_mode=settings.base_path_mode,
            forwarded_host=settings.forwarded_host,
            authorization_source=settings.authorization_source,
            traceparent=settings.traceparent,
        )
        streams = settings.invoke_mode == "response_stream"
        self._streamed = settings.stream_sources if streams else frozenset[str]()
        self._challenged = False
        self._compress = None
        if settings.compression:
            from lamella.response.compression import Compression

            self._compress = Compression(settings.compression)
        preload()

    def open(self, invocation: Invocation, outcome: Outcome) -> Cycle | None:
        """The cycle that answers an event to `outcome`; None where it is answered already.

        That is so for a malformed event, and for an event that is refused.
        """
        source = find(invocation.event)
        if source.family is Family.HTTP:
            return self._open_http(source, invocation, outcome)
        if source.family is Family.WEBSOCKET:
            return self._open_websocket(invocation, outcome)
        return self._open_event(invocation, outcome)

    def _open_http(self, source: Source, invocation: Invocation, outcome: Outcome) -> Cycle | None:
        event, codec = invocation.event, load(source)
        try:
            request = codec.decode(event)
        except BadEvent as error:
            # What is wrong with the event is for the log, not for the client.
            logger.warning("Malformed event (%s): %s", source.name, error)
            sink = self._sink(source, codec, event, outcome, asks_for_head(event))
            sink.fail(error.status, str(error) if error.status == 413 else _MALFORMED)
            return None
        request = self._preparation.prepare(request, invocation.trace_id)
        sink = self._sink(source, codec, event, outcome, request.method == "HEAD")
        if self.settings.events_from_http == "refuse" and self.settings.events_path:
            from lamella.sources.events import is_path_of_events

            if is_path_of_events(request.path, request.root_path, self.settings.events_path):
                sink.fail(404, "Not Found")
                return None
        streamed = source.name in self._streamed
        if self._compress is not None:
            sink = self._compress(sink, request.headers, streamed)
        if streamed and self.settings.stream_keepalive:
            from lamella.response.keepalive import KeepAlive

            sink = KeepAlive(sink, self.settings.stream_keepalive)
        return self._http_cycle(request, invocation, sink, outcome)

    def _sink(
        self, source: Source, codec: Codec, event: Event, outcome: Outcome, head: bool
    ) -> Sink:
        """Where the answer to an HTTP request goes; `head`: without its body."""
        if source.name in self._streamed:  # only on the way in whose outcomes can
            stream = cast("StreamingOutcome", outcome).stream()

            def prelude(status: int, headers: Headers) -> dict[str, Any]:
                if status == 401:
                    self._look_for_challenge(source, headers)
                return cast(StreamingCodec, codec).prelude(status, headers)

            return StreamedSink(stream, prelude, head)
        text_types = self.settings.text_types

        def deliver(response: Response) -> int:
            if response.status == 401:
                self._look_for_challenge(source, response.headers)
            try:
                result = codec.encode(response, event, text_types)
                if source.limit is not None:
                    taker = f"the event source {source.name!r}"
                    check_size(result, Limit(taker, source.limit(event)))
                outcome.send(result)
            except ResponseTooLarge as error:
                logger.error("%s", error)
                response = plain(500, "The response is too large to be delivered.")
                outcome.send(codec.encode(response, event, text_types))
            except InvocationError as error:
                outcome.fail(error)
            return response.status

        return BufferedSink(deliver, head)

    def _look_for_challenge(self, source: Source, headers: Headers) -> None:
        """Warn, once in an environment, where the front door renames the challenge of a 401."""
        if self._challenged or source.name not in _RENAMING:
            return
        if any(name == b"www-authenticate" for name, _ in headers):
            self._challenged = True
            logger.warning(_CHALLENGE, _RENAMING[source.name])

    def _open_event(self, invocation: Invocation, outcome: Outcome) -> Cycle | None:
        """An event that is not HTTP: its failures are the invocation's, for Lambda to retry."""
        from lamella.sources import events as codec
        from lamella.sources.services import service_of

        event, settings = invocation.event, self.settings
        if settings.commands and isinstance(event, dict) and "lamella.command" in event:
            from lamella.commands import open_command

            return open_command(invocation, outcome)
        if settings.warmers:
            from lamella.sources.warmers import ANSWER, is_warmer

            if is_warmer(event):
                outcome.send(ANSWER)
                return None
        if not settings.events_path:
            outcome.fail(InvocationError(_UNSERVED))
            return None
        service = service_of(event)
        try:
            path = settings.events_path.replace(codec.SOURCE, service)
            request = codec.decode(event, path, invocation.raw)
        except BadEvent as error:
            logger.warning("Malformed event (%s): %s", "events", error)
            outcome.fail(InvocationError(str(error)))
            return None

        def deliver(response: Response) -> int:
            try:
                outcome.send(codec.encode(response, path, settings.text_types))
            except InvocationError as error:
                outcome.fail(error)
            return response.status

        cycle = self._http_cycle(request, invocation, BufferedSink(deliver), outcome)
        cycle.scope["extensions"]["lamella.event"] = {"source": service}
        return cycle

    def _open_websocket(self, invocation: Invocation, outcome: Outcome) -> Cycle | None:
        from lamella.sources import websocket as codec
        from lamella.websocket.run import WebSocketRun

        event = invocation.event
        try:
            request = None
            if event["requestContext"]["eventType"] == codec.CONNECT:
                request = codec.decode(event, self.settings.websocket_path)
                # The handshake outlives this invocation, so its headers get no trace.
                request = self._preparation.prepare(request, trace_id=None)
            return WebSocketRun(self.served, invocation, outcome, request)
        except BadEvent as error:
            logger.warning("Malformed event (%s): %s", "websocket", error)
            outcome.send(codec.encode(plain(error.status, _MALFORMED), event, ()))
            return None

    def _http_cycle(
        self, request: Request, invocation: Invocation, sink: Sink, outcome: Outcome
    ) -> Cycle:
        """The cycle, with its sink in the wrappers that settings ask for; the last comes first."""
        settings = self.settings
        if settings.exclude_headers:
            from lamella.response.filters import WithoutHeaders

            sink = WithoutHeaders(sink, settings.exclude_headers)
        if settings.error_status:
            from lamella.response.filters import FailingStatus

            sink = FailingStatus(sink, settings.error_status, outcome.fail)
        scope: Scope = {
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
            "aws.event": invocation.event,
            "aws.context": invocation.context,
        }
        return HTTPCycle(scope, request.body, sink)


_MALFORMED = "Bad Request: the event is malformed."

_RENAMING = {"url": "A Function URL", "rest": "A REST API"}
"""What AWS's pages say of REST APIs, and users of Function URLs: docs/front-doors.md."""

_CHALLENGE = (
    "%s renames the header WWW-Authenticate of this 401 to x-amzn-remapped-www-authenticate: "
    "browsers ask for no password, and OAuth discovery (MCP) fails, unless something in front "
    "renames it back. docs/front-doors.md says how."
)

_UNSERVED = (
    "This event is no HTTP request, and ASGI_EVENTS_PATH is empty: "
    "set it to the path that such events are to be posted to, for example /events."
)
