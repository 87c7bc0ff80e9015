"""The Runtime API of an environment on Lambda Managed Instances: many events at a time.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-managed-instances,
and AWS's Runtime Interface Emulator with AWS_LAMBDA_MAX_CONCURRENCY. Each GET of /next is a slot
in a queue, first come, first served; an event takes one out, or is refused where there is none.
A slot whose runtime has hung up stays in the queue and swallows an event. Answers are matched
by request id, on whatever connection they come. A deadline is soft: the caller is answered, the
code runs on, and what it posts later is a 410, once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from lamella.local.config import FunctionConfig
from lamella.local.runtime_api.api import INVOCATION, Api, handed, reported_error
from lamella.local.runtime_api.extensions import Extensions
from lamella.local.runtime_api.http11 import ACCEPTED, ApiError, ApiResponse, ServerConnection
from lamella.local.runtime_api.invocation import Invocation
from lamella.local.runtime_api.receiving import BrokenOff, failure, is_streamed, receive
from lamella.local.runtime_api.states import RuntimeState
from lamella.local.runtime_api.traffic import Traffic

MAX_TIMED_OUT = 1000
"""Timed out invocations that are remembered for their late answers."""


class Unavailable(Exception):
    """No slot waits for an event: Lambda's Runtime.Unavailable."""


class ManagedApi(Api):
    """See the module's docstring and Api; `slot_came` is set when a slot is added."""

    def __init__(self, config: FunctionConfig, traffic: Traffic) -> None:
        super().__init__(config, traffic, extensions=Extensions(frozenset()))
        self._slots: deque[asyncio.Future[Invocation]] = deque()
        self._running: dict[str, Invocation] = {}
        self._answering: set[str] = set()
        self._timed_out: deque[str] = deque(maxlen=MAX_TIMED_OUT)
        self.slot_came = asyncio.Event()
        self.route("GET", f"{INVOCATION}/next", self.next)
        self.route("POST", f"{INVOCATION}/([^/]+)/response", self.response)
        self.route("POST", f"{INVOCATION}/([^/]+)/error", self.error)
        self.route("POST", "/2018-06-01/runtime/init/error", self.init_error_report)

    @property
    def waiting(self) -> bool:
        """See Api."""
        return bool(self._slots)

    @property
    def slots(self) -> int:
        """How many events could be handed out at this moment."""
        return len(self._slots)

    def dispatch(self, invocation: Invocation) -> None:
        """Hand `invocation` to the slot that has waited longest. Raises Unavailable."""
        if not self._slots:
            raise Unavailable
        slot = self._slots.popleft()
        self._running[invocation.request_id] = invocation
        if not slot.cancelled():
            slot.set_result(invocation)

    def expire(self, invocation: Invocation) -> None:
        """The deadline has passed: whatever still comes for this invocation is late."""
        if self._running.pop(invocation.request_id, None) is not None:
            self._timed_out.append(invocation.request_id)

    async def abort(self, error: dict[str, Any]) -> None:
        """Fail what runs: the environment shuts down, and what comes still is a 400."""
        running, self._running = self._running, {}
        for invocation in running.values():
            invocation.answer.fail(error)

    async def next(self, connection: ServerConnection, _: str) -> ApiResponse | None:
        """The runtime offers a slot, and waits for its event without any limit."""
        if self.states.state is RuntimeState.STARTED:
            self.states.move(RuntimeState.READY)
        self.extensions.closed = True
        slot: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._slots.append(slot)
        self.slot_came.set()
        self.settle()
        if not await handed(slot, connection):
            slot.cancel()  # it stays in the queue: see the module's docstring
            return None
        invocation = slot.result()
        return ApiResponse(200, invocation.event, invocation.headers(empty=True))

    async def response(self, connection: ServerConnection, request_id: str) -> ApiResponse:
        """The runtime answers an event, at once or as a stream."""
        invocation = self._matching(connection, request_id)
        if request_id in self._answering:
            raise ApiError(400, "InvalidRequestID", "Invalid request ID")
        self._answering.add(request_id)
        try:
            await receive(connection, invocation.answer, is_streamed(connection))
        except BrokenOff as broken:
            invocation.answer.fail(broken.error)
            raise
        except ApiError as error:
            if not invocation.answer.ended:
                message = f"The response was refused: {error}"
                invocation.answer.fail(failure("Runtime.InvalidResponseModeHeader", message))
            raise
        finally:
            self._settled(request_id)
        self._check_in_time(request_id)
        return ACCEPTED

    async def error(self, connection: ServerConnection, request_id: str) -> ApiResponse:
        """The runtime reports that an invocation failed.

        An answer that is being streamed breaks off: here that is allowed in the middle of it.
        """
        invocation = self._matching(connection, request_id)
        invocation.answer.fail(*await reported_error(connection, "Function.Unknown"))
        self._settled(request_id)
        return ACCEPTED

    async def init_error_report(self, connection: ServerConnection, _: str) -> ApiResponse:
        """A worker reports that init failed; of several only the first is heard."""
        self.states.move(RuntimeState.INIT_ERROR)
        self.fail_init((await reported_error(connection, "Runtime.Unknown"))[0])
        return ACCEPTED

    def _matching(self, connection: ServerConnection, request_id: str) -> Invocation:
        self._check_in_time(request_id)
        invocation = self._running.get(request_id)
        nonce = connection.exchange.header("lambda-runtime-invocation-id")
        if invocation is None or (nonce and nonce != invocation.invocation_id):
            raise ApiError(400, "InvalidRequestID", "Invalid request ID")
        return invocation

    def _check_in_time(self, request_id: str) -> None:
        """Raise ApiError (410) if the invocation timed out; only the first late answer is told."""
        if request_id in self._timed_out:
            self._timed_out.remove(request_id)
            raise ApiError(410, "InvokeTimeout", "Invoke timeout")

    def _settled(self, request_id: str) -> None:
        self._answering.discard(request_id)
        self._running.pop(request_id, None)
