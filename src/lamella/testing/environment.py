"""One execution environment inside the test's process: one lifespan, one invocation at a time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from lamella.errors import ClientDisconnected, InvocationError, LamellaError
from lamella.front_doors import FrontDoor, HttpRequest, HttpResponse, Malformed, Trouble
from lamella.front_doors.door import MAX_EVENT, Refused
from lamella.front_doors.prelude import read_prelude
from lamella.importer import app_reference, import_app
from lamella.invocation import Invocation, set_current
from lamella.life.leftovers import task_factory
from lamella.life.supervision import Alarm, supervise
from lamella.response.wire import encode_result
from lamella.served import set_served
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.testing.context import LambdaContext, new_trace_id
from lamella.types import AnyASGIApp, Event, Result

logger = logging.getLogger("lamella.testing")

NO_BODY = frozenset({204, 304})
"""Statuses that HTTP allows no body."""

STARTUP_TIME = 9.0
"""Seconds for lifespan startup where no setting tells; Lambda gives all of init 10."""

SHUTDOWN_TIME = 2.0  # seconds for lifespan shutdown


class StreamBroken(LamellaError):
    """The function failed in the middle of a streamed answer; AWS cuts the connection."""


class Answer:
    """The outcome of one invocation: a result, an error, or a stream of bytes.

    It is the `StreamingReply` and the `Stream` of a cycle, and iterates over a stream's bytes.
    """

    at_once = True

    def __init__(self) -> None:
        self.payload: bytes | None = None
        self.error: BaseException | None = None
        self.streaming = False
        self._ended = False  # nothing more can come
        self._left = False  # the client is gone
        self._begun = asyncio.Event()
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    @property
    def known(self) -> bool:
        """Whether there is a result, an error or a stream."""
        return self._begun.is_set()

    async def begun(self) -> None:
        """Wait for the result, the error or the first bytes of a stream."""
        await self._begun.wait()

    def send(self, result: Result) -> None:
        """Keep the result, in JSON as Lambda takes it. Raises as `encode_result`."""
        payload = encode_result(result)
        if not self.known:
            self.payload = payload
            self._begun.set()

    def fail(self, error: InvocationError) -> None:
        """Keep the error; a stream that has begun breaks off."""
        if self.streaming:
            self.end(b"", error)
        elif not self.known:
            self.error = error
            self._begun.set()

    def stream(self) -> Answer:
        """The answer itself: it becomes a stream with its first bytes."""
        return self

    def write(self, data: bytes) -> None:
        """Pass on bytes of a stream."""
        self.streaming = True
        self._pieces.put_nowait(data)
        self._begun.set()

    async def drain(self) -> None:
        """Let the client read. Raises `ClientDisconnected` once it has closed the response."""
        await asyncio.sleep(0)
        if self._left:
            raise ClientDisconnected("The client closed the response before its end.")

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        """Pass on the last bytes, and the error that broke a stream off; once."""
        if self._ended:
            return
        self._ended = True
        if data:
            self.write(data)
        self.error = error
        self._pieces.put_nowait(None)
        self._begun.set()

    def leave(self) -> None:
        """The client is gone."""
        self._left = True

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._pieces.get()
        if piece is not None:
            return piece
        self._pieces.put_nowait(None)  # the end stays the end
        if self.error is not None:
            raise StreamBroken(f"The streamed answer broke off: {self.error!r}")
        raise StopAsyncIteration


class Delivery(NamedTuple):
    """What the client gets: `head`, whose body is its beginning where a stream follows."""

    head: HttpResponse
    stream: Answer | None = None


class Environment:
    """An application behind a front door. `settings` as for `lamella.Adapter`; raises as it does.

    With `concurrent`, any number of events at a time, as if each had an environment.
    """

    def __init__(
        self,
        app: AnyASGIApp | str,
        door: FrontDoor,
        context: LambdaContext,
        settings: Mapping[str, Any],
        *,
        concurrent: bool = False,
    ) -> None:
        self._settings = from_arguments(settings)
        self._app = import_app(app_reference(app, {})) if isinstance(app, str) else app
        self._door = door
        self._context = context
        self._concurrent = concurrent
        self._renew()

    def _renew(self) -> None:
        """What is new in a new environment."""
        self._service = Service(self._app, self._settings)
        set_served(self._service.served)
        self._started = False
        self._turn = asyncio.Lock()
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Run lifespan startup, once. Raises `LifespanError`; another call then starts anew."""
        if self._started:
            return
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is None:
            loop.set_task_factory(task_factory)  # without effect outside of an invocation
        try:
            limit = self._settings.lifespan_timeout or STARTUP_TIME
            await self._service.lifespan.startup(limit)
        except BaseException:
            self._renew()
            raise
        self._started = True

    async def close(self) -> None:
        """Let the last invocation end, and run lifespan shutdown; what comes then starts anew."""
        await self._idle()
        await self._service.lifespan.shutdown(SHUTDOWN_TIME)
        self._renew()

    async def invoke(self, event: Event) -> Answer:
        """Serve an event after everything that the one before left to do; wait for the answer."""
        async with self._turn:
            await self.start()
            if not self._concurrent:
                await self._idle()
            answer = Answer()
            serving = asyncio.get_running_loop().create_task(self._serve(event, answer))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        await answer.begun()
        return answer

    async def request(self, request: HttpRequest) -> Delivery:
        """Answer an HTTP request, by the rules of the front door both ways."""
        try:
            answer = await self.invoke(self._event(request))
            return await self._delivered(answer, request)
        except Refused as refused:
            return self._trouble(refused.trouble, request, str(refused))
        except Malformed as malformed:
            return self._trouble(Trouble.MALFORMED, request, str(malformed))

    async def _delivered(self, answer: Answer, request: HttpRequest) -> Delivery:
        if answer.payload is not None:
            return self._whole(self._door.response(answer.payload, request), request)
        if not answer.streaming:
            return self._trouble(Trouble.FUNCTION_ERROR, request, str(answer.error))
        prelude, first = await read_prelude(answer)
        head = self._door.stream_head(prelude)
        headers = head.headers + self._door.added_headers(request)
        return Delivery(HttpResponse(head.status, headers, first), answer)

    def _event(self, request: HttpRequest) -> Event:
        """The event after its way as JSON, which is how an invocation gets it."""
        if len(request.body) > self._door.max_body:
            raise Refused(Trouble.TOO_LARGE)
        text = json.dumps(self._door.event(request))
        if len(text) > MAX_EVENT:
            raise Refused(Trouble.TOO_LARGE)
        event: Event = json.loads(text)
        return event

    def _whole(self, response: HttpResponse, request: HttpRequest) -> Delivery:
        bodiless = response.status in NO_BODY
        body = b"" if bodiless else response.body
        length = [] if bodiless else [("content-length", str(len(body)))]
        headers = response.headers + self._door.added_headers(request) + length
        return Delivery(HttpResponse(response.status, headers, body))

    def _trouble(self, trouble: Trouble, request: HttpRequest, detail: str) -> Delivery:
        response = self._door.trouble(trouble)
        logger.warning(
            "%s %s: the event source (%s) answers %d itself: %s (%s).",
            *(request.method, request.raw_path, self._door.name, response.status),
            *(trouble.value, detail),
        )
        return self._whole(response, request)

    async def _serve(self, event: Event, answer: Answer) -> None:
        service, context = self._service, self._context.renewed()
        alarm = Alarm(asyncio.get_running_loop())
        invocation = Invocation(event, context, new_trace_id())
        set_current(invocation)
        try:
            cycle = service.open(invocation, answer)
            if cycle is not None:
                await supervise(cycle, service.app, service.settings, context.timeout, alarm)
        except BaseException as error:  # SystemExit would stop the test's own loop
            answer.fail(InvocationError(f"{type(error).__name__}: {error}", "Runtime.ExitError"))
        if not answer.known:
            answer.fail(InvocationError("The invocation ended without an answer."))

    async def _idle(self) -> None:
        if self._serving:
            await asyncio.wait(self._serving)
