"""The invocation loop: ask for an invocation, answer it, finish its work, ask again."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from functools import partial

from lamina.errors import InvocationError
from lamina.invocation import Invocation, set_current
from lamina.response.wire import encode_result
from lamina.runtime.client import NextInvocation, RuntimeClient, StreamedPost
from lamina.runtime.ric import lambda_context
from lamina.service import Service
from lamina.supervision import supervise
from lamina.types import Event, Result

access = logging.getLogger("lamina.access")
logger = logging.getLogger("lamina")

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


class Slot:
    """One place for an invocation: asks for it, serves it, asks again.

        next() ──▶ a task of its own: answer, then finish the work ──▶ when acknowledged, next()

    The task is the invocation's: its context, and with it every context variable that the
    application sets, ends with it. Managed instances give an environment several slots.
    """

    def __init__(self, address: str, service: Service) -> None:
        self._loop = asyncio.get_running_loop()
        self._service = service
        self._client = RuntimeClient(address, self._end)
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._serving: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until cancelled. Raises the error that ends the environment."""
        try:
            self._next()
            await self._ended
        finally:
            self._client.close()

    def _next(self) -> None:
        self._client.next(self._received)

    def _received(self, invocation: NextInvocation) -> None:
        self._serving = self._loop.create_task(self._serve(invocation))

    async def _serve(self, invocation: NextInvocation) -> None:
        reply = PostedReply(self._client, invocation)
        try:
            await self._answer(invocation, reply)
        except BaseException as error:
            reply.fail(_exit_error(error))
            self._client.when_acknowledged(partial(self._end, error))
        else:
            self._client.when_acknowledged(self._next)

    async def _answer(self, invocation: NextInvocation, reply: PostedReply) -> None:
        """Answer as soon as the answer is complete, and see the invocation's work to its end."""
        _set_trace(invocation.trace_id)
        try:
            event, context = _decoded(invocation), lambda_context(invocation)
        except InvocationError as error:
            reply.fail(error)
            return
        set_current(Invocation(event, context))
        service = self._service
        started = time.perf_counter()
        cycle = service.open(event, context, reply)
        if cycle is None:
            return
        left = invocation.deadline_ms / 1000 - time.time()
        await supervise(cycle, service.app, service.settings, left)
        if service.settings.log_access and access.isEnabledFor(logging.INFO):
            milliseconds = (time.perf_counter() - started) * 1000
            access.info("%s %d %.1f ms", cycle.name, cycle.status, milliseconds)

    def _end(self, error: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)


class PostedReply:
    """Sends the outcome of one invocation to the Runtime API; the first outcome counts."""

    def __init__(self, client: RuntimeClient, invocation: NextInvocation) -> None:
        self._client = client
        self._invocation = invocation
        self._stream: StreamedPost | None = None
        self._sent = False

    def send(self, result: Result) -> None:
        """Post the whole result. Raises `ResponseTooLarge`, `InvocationError`."""
        payload = encode_result(result)
        if not self._sent:
            self._sent = True
            self._client.respond(self._invocation, payload)

    def fail(self, error: InvocationError) -> None:
        """Post the error; where a stream has begun, end it with the error in its trailers."""
        if self._stream is not None and self._stream.opened:
            if not self._stream.ended:
                self._stream.end(b"", error)
        elif not self._sent:
            self._sent = True
            logger.error("%s", error)
            self._client.respond_error(self._invocation, error)

    def stream(self) -> StreamedPost:
        """Open a streamed answer."""
        self._stream = self._client.open_stream(self._invocation)
        return self._stream


def _decoded(invocation: NextInvocation) -> Event:
    try:
        event: Event = json.loads(invocation.body)
    except ValueError as error:
        raise InvocationError(
            f"The event is not JSON: {error}", "Runtime.UnmarshalError"
        ) from error
    return event


def _set_trace(trace_id: str | None) -> None:
    """Tell the X-Ray SDK the trace, as awslambdaric does: one invocation runs at a time."""
    if trace_id is not None:
        os.environ[TRACE_VARIABLE] = trace_id
    elif TRACE_VARIABLE in os.environ:
        del os.environ[TRACE_VARIABLE]


def _exit_error(error: BaseException) -> InvocationError:
    return InvocationError(
        f"The application ended the environment: {type(error).__name__}: {error}",
        "Runtime.ExitError",
    )
