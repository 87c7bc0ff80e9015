"""The invocation loop: ask for an invocation, answer it, finish its work, ask again."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

from lamella.asgi.http import FATAL
from lamella.errors import InvocationError
from lamella.invocation import Invocation, set_current
from lamella.life import freeze
from lamella.life.supervision import Alarm, margin_of, supervise
from lamella.ports import Cycle
from lamella.response.wire import encode_result
from lamella.runtime import trace
from lamella.runtime.client import FATAL_STATUS, RuntimeClient, StreamedPost
from lamella.runtime.in_flight import InFlight, Running
from lamella.runtime.next_invocation import NextInvocation
from lamella.runtime.ric import lambda_context
from lamella.service import Service
from lamella.types import Event, Result

logger = logging.getLogger("lamella")


class Slot:
    """One place for an invocation: asks for it, serves it, asks again.

        next() ──▶ a task of its own: answer, then finish the work ──▶ when acknowledged, next()

    The task is the invocation's: its context, and with it every context variable that the
    application sets, ends with it. Managed instances give an environment several slots
    (`concurrent`); they are never frozen, so there a slot asks again as soon as its answer is
    acknowledged, and background work just runs on.
    """

    def __init__(
        self, address: str, service: Service, in_flight: InFlight, concurrent: bool = False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._service = service
        self._in_flight = in_flight
        self._concurrent = concurrent
        # A wrong order of calls is one slot's affair where there are others.
        fatal = (500,) if concurrent else FATAL_STATUS
        self._client = RuntimeClient(address, self._end, fatal)
        self._stopping = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = copy_context()
        self._alarm = Alarm(self._loop)

    async def run(self) -> None:
        """Serve until cancelled. Raises the error that ends the environment."""
        self._next()
        await self._ended

    def stop(self) -> None:
        """Ask for nothing more."""
        self._stopping = True

    async def settle(self) -> None:
        """Wait until Lambda has taken what was answered."""
        settled = asyncio.Event()
        self._client.when_acknowledged(settled.set)
        await settled.wait()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _next(self) -> None:
        if not self._stopping:
            self._client.next(self._received)

    def _received(self, invocation: NextInvocation) -> None:
        # A connection may have been made in an earlier invocation's context: not this one's.
        task = self._context.run(self._loop.create_task, self._serve(invocation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _answered(self) -> None:
        """An answer is on its way out."""
        if self._concurrent:
            self._client.when_acknowledged(self._next)

    async def _serve(self, invocation: NextInvocation) -> None:
        outcome = PostedOutcome(self._client, invocation, self._answered)
        try:
            await self._answer(invocation, outcome)
        except FATAL as error:
            outcome.fail(exit_error(error))
            self._client.when_acknowledged(partial(self._end, error))
            return
        except (Exception, asyncio.CancelledError) as error:
            # A fault of Lamella's own must not cost the environment.
            logger.exception("Lamella failed to serve this invocation: please report it.")
            outcome.fail(InvocationError(f"Lamella failed: {type(error).__name__}: {error}"))
        if not outcome.complete:
            outcome.fail(InvocationError("The invocation ended without an answer."))
        if not self._concurrent:
            self._client.when_acknowledged(self._next)

    async def _answer(self, invocation: NextInvocation, outcome: PostedOutcome) -> None:
        """Answer as soon as the answer is complete, and see the invocation's work to its end."""
        if not self._concurrent:
            trace.set_variable(invocation.trace_id)
        try:
            event, context = _decoded(invocation), lambda_context(invocation)
        except InvocationError as error:
            outcome.fail(error)
            return
        current = Invocation(event, context, invocation.trace_id)
        set_current(current, alone=not self._concurrent)
        cycle = self._service.open(current, outcome)
        if cycle is not None:
            left = invocation.deadline_ms / 1000 - time.time()
            await self._run(cycle, current, left, outcome)

    async def _run(
        self, cycle: Cycle, invocation: Invocation, seconds_left: float, outcome: PostedOutcome
    ) -> None:
        service = self._service
        task = asyncio.current_task()
        assert task is not None
        started = time.monotonic()
        due = started + seconds_left - margin_of(service.settings, seconds_left) / 2
        self._in_flight[cycle] = Running(cycle, invocation, task, due, outcome.fail)
        alarm = Alarm(self._loop) if self._concurrent else self._alarm
        try:
            freezes = not self._concurrent
            await supervise(cycle, service.app, service.settings, seconds_left, alarm, freezes)
            if freezes:
                await self._before_freeze(seconds_left, started + seconds_left)
        finally:
            if self._concurrent:
                alarm.cancel()
            del self._in_flight[cycle]

    async def _before_freeze(self, seconds_left: float, deadline: float) -> None:
        settings = self._service.settings
        hooks = freeze.hooks(settings.flush)
        if hooks:
            margin = margin_of(settings, seconds_left)
            # After a 504, of all answers, they have half of the margin.
            left = max(deadline - margin - time.monotonic(), margin / 2)
            await freeze.run(hooks, min(left, settings.background_timeout))

    def _end(self, error: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)


class PostedOutcome:
    """Sends the outcome of one invocation to the Runtime API; the first outcome counts."""

    at_once = True

    def __init__(
        self, client: RuntimeClient, invocation: NextInvocation, answered: Callable[[], None]
    ) -> None:
        self._client = client
        self._invocation = invocation
        self._answered = answered
        self._stream: StreamedPost | None = None
        self._sent = False

    @property
    def complete(self) -> bool:
        """Whether a whole answer is on its way."""
        return self._sent or (self._stream is not None and self._stream.ended)

    def send(self, result: Result) -> None:
        """Post the whole result. Raises `ResponseTooLarge`, `InvocationError`."""
        payload = encode_result(result)
        if not self._sent:
            self._sent = True
            self._client.respond(self._invocation, payload)
            self._answered()

    def fail(self, error: InvocationError) -> None:
        """Post the error; where a stream has begun, end it with the error in its trailers."""
        if self._stream is not None and self._stream.opened:
            if not self._stream.ended:
                self._stream.end(b"", error)
        elif not self._sent:
            self._sent = True
            if self._stream is not None:
                self._stream.withdraw()
            logger.error("%s", error)
            self._client.respond_error(self._invocation, error)
            self._answered()

    def stream(self) -> StreamedPost:
        """Open a streamed answer."""
        self._stream = self._client.open_stream(self._invocation, self._answered)
        return self._stream


def _decoded(invocation: NextInvocation) -> Event:
    try:
        event: Event = json.loads(invocation.body)
    except (ValueError, RecursionError) as error:
        raise InvocationError(
            f"The event is not JSON: {error}", "Runtime.UnmarshalError"
        ) from error
    return event


def exit_error(error: BaseException) -> InvocationError:
    """What an invocation fails with where the application ends the environment."""
    return InvocationError(
        f"The application ended the environment: {type(error).__name__}: {error}",
        "Runtime.ExitError",
    )
