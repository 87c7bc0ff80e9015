"""A function inside the test's process: one lifespan, one invocation at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from collections.abc import Mapping
from typing import Any

from lamella.errors import ClientDisconnected, InvocationError
from lamella.front_doors.answer import Answer
from lamella.front_doors.prelude import CONTENT_TYPE
from lamella.importer import AppName, import_app
from lamella.invocation import Invocation, set_current
from lamella.life.leftovers import task_factory
from lamella.life.supervision import Alarm, supervise
from lamella.response.wire import encode_result
from lamella.served import set_served
from lamella.service import Service
from lamella.settings import STARTUP_TIME, from_arguments
from lamella.testing.context import LambdaContext, new_trace_id
from lamella.types import AnyASGIApp, Event, Result

logger = logging.getLogger("lamella.testing")

SHUTDOWN_TIME = 2.0  # seconds for lifespan shutdown

NOT_CLOSED = (
    "A transport of lamella.testing was not closed, so lifespan shutdown has not run. Close the "
    "transport: enter its client with `with`, or call client.close()."
)

_forgotten: list[Service] = []
"""Environments that nobody closes: they are kept until their loop ends, which closes them."""


class InProcessOutcome:
    """The `StreamingOutcome` of an invocation, and its `Stream`: both fill `answer`."""

    at_once = True

    def __init__(self, request_id: str) -> None:
        self.answer = Answer(request_id)

    def send(self, result: Result) -> None:
        """Take the result, in JSON as Lambda takes it. Raises as `encode_result`."""
        payload = encode_result(result)
        if not self.answer.begun:
            self.answer.begin(False, "application/json")
            self.answer.put(payload)
            self.answer.end()

    def fail(self, error: InvocationError) -> None:
        """Take the error; a stream that has begun breaks off."""
        self.answer.fail(_described(error))

    def stream(self) -> InProcessOutcome:
        """The outcome itself: its answer becomes a stream with the first bytes."""
        return self

    def write(self, data: bytes) -> None:
        """Pass on bytes of a stream."""
        if not self.answer.begun:
            self.answer.begin(True, CONTENT_TYPE)
        self.answer.put(data)

    async def drain(self) -> None:
        """Wait for a slow client. Raises `ClientDisconnected` once it has closed the response."""
        await asyncio.sleep(0)
        await self.answer.room()
        if self.answer.abandoned:
            raise ClientDisconnected("The client closed the response before its end.")

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        """Pass on the last bytes, and the error that broke a stream off; once."""
        if data:
            self.write(data)
        if error is None:
            self.answer.end()
        else:
            self.answer.fail(_described(error))


def _described(error: BaseException) -> dict[str, Any]:
    kind = getattr(error, "error_type", type(error).__name__)
    return {"errorType": kind, "errorMessage": str(error)}


def _remind(service: Service) -> None:
    _forgotten.append(service)
    logger.warning(NOT_CLOSED)


class InProcessFunction:
    """An application as the function behind a front door. `settings` as for `lamella.Adapter`.

    With `concurrent`, any number of events at a time, as if each had an environment. Raises
    what `Adapter` raises.
    """

    def __init__(
        self,
        app: AnyASGIApp | str,
        context: LambdaContext,
        settings: Mapping[str, Any],
        *,
        concurrent: bool = False,
    ) -> None:
        self._settings = from_arguments(settings)
        self._app = import_app(AppName(app, "app")) if isinstance(app, str) else app
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
        self._reminder = weakref.finalize(self, _remind, self._service)

    async def close(self) -> None:
        """Let the last invocation end, and run lifespan shutdown; what comes then starts anew."""
        if self._started:
            self._reminder.detach()
        await self.idle()
        await self._service.lifespan.shutdown(SHUTDOWN_TIME)
        self._renew()

    async def open(self, event: bytes | Event) -> Answer:
        """Serve an event after everything that the one before left to do."""
        # It takes its way as JSON, as an invocation's does.
        parsed: Event = json.loads(event if isinstance(event, bytes) else json.dumps(event))
        async with self._turn:
            await self.start()
            if not self._concurrent:
                await self.idle()
            context = self._context.renewed()
            outcome = InProcessOutcome(context.aws_request_id)
            serving = asyncio.ensure_future(self._serve(parsed, context, outcome))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
        return outcome.answer

    async def invoke(self, event: Event) -> Result:
        """The result of an event, as soon as it is there. Raises `InvocationError`."""
        answer = await self.open(event)
        if (await answer.head()).streamed:
            answer.abandon()
            raise InvocationError(
                "The event's front door streams: send a request with the client, or leave out "
                'invoke_mode="response_stream".'
            )
        payload = b"".join([piece async for piece in answer])
        if answer.error is not None:
            raise InvocationError(answer.error["errorMessage"], answer.error["errorType"])
        return json.loads(payload)

    async def _serve(self, event: Event, context: LambdaContext, outcome: InProcessOutcome) -> None:
        service, alarm = self._service, Alarm(asyncio.get_running_loop())
        invocation = Invocation(event, context, new_trace_id())
        set_current(invocation)
        try:
            cycle = service.open(invocation, outcome)
            if cycle is not None:
                await supervise(cycle, service.app, service.settings, context.timeout, alarm)
        except BaseException as error:  # SystemExit would stop the test's own loop
            outcome.fail(InvocationError(f"{type(error).__name__}: {error}", "Runtime.ExitError"))
        if not outcome.answer.begun:
            outcome.fail(InvocationError("The invocation ended without an answer."))
        outcome.answer.finish()

    async def idle(self, timeout: float | None = None) -> None:
        """Wait for everything that runs, `timeout` seconds at most."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=timeout)
