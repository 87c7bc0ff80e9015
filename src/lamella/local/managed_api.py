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

from lamella.local.api import Api, handed, reported_error
from lamella.local.config import FunctionConfig
from lamella.local.extensions import Extensions
from lamella.local.http11 import Connection
from lamella.local.invocation import Invocation
from lamella.local.receiving import BrokenOff, failure, is_streamed, receive
from lamella.local.replies import Refused, Reply, accepted
from lamella.local.states import RuntimeStates, State
from lamella.local.traffic import Traffic

MAX_TIMED_OUT = 1000
"""Timed out invocations that are remembered for their late answers."""


class Unavailable(Exception):
    """No slot waits for an event: Lambda's Runtime.Unavailable."""


class ManagedApi(Api):
    """See the module's docstring and Api; `slot_came` is set when a slot is added."""

    def __init__(self, config: FunctionConfig, traffic: Traffic) -> None:
        super().__init__(config, traffic, extensions=Extensions(frozenset()))
        self._states = RuntimeStates()
        self._slots: deque[asyncio.Future[Invocation]] = deque()
        self._running: dict[str, Invocation] = {}
        self._answering: set[str] = set()
        self._timed_out: deque[str] = deque(maxlen=MAX_TIMED_OUT)
        self.slot_came = asyncio.Event()
        invocation = "/2018-06-01/runtime/invocation"
        self._route("GET", f"{invocation}/next", self._get_next)
        self._route("POST", f"{invocation}/([^/]+)/response", self._response)
        self._route("POST", f"{invocation}/([^/]+)/error", self._error)
        self._route("POST", "/2018-06-01/runtime/init/error", self._init_error)

    @property
    def in_init(self) -> bool:
        return self._states.state is State.STARTED

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

    async def _get_next(self, connection: Connection, _: str) -> Reply | None:
        if self._states.state is State.STARTED:
            self._states.move(State.READY)
        self.extensions.closed = True
        slot: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._slots.append(slot)
        self.slot_came.set()
        self._settle()
        if not await handed(slot, connection):
            slot.cancel()  # it stays in the queue: see the module's docstring
            return None
        invocation = slot.result()
        return Reply(200, invocation.event, invocation.headers(empty=True))

    async def _response(self, connection: Connection, request_id: str) -> Reply:
        invocation = self._matching(connection, request_id)
        if request_id in self._answering:
            raise Refused(400, "InvalidRequestID", "Invalid request ID")
        self._answering.add(request_id)
        try:
            reply = await receive(connection, invocation.answer, is_streamed(connection))
        except BrokenOff as broken:
            invocation.answer.fail(broken.error)
            raise
        except Refused as refused:
            if not invocation.answer.ended:
                message = f"The response was refused: {refused}"
                mode = failure("Runtime.InvalidResponseModeHeader", message)
                invocation.answer.fail(mode)
            raise
        finally:
            self._settled(request_id)
        self._check_in_time(request_id)
        return reply

    async def _error(self, connection: Connection, request_id: str) -> Reply:
        invocation = self._matching(connection, request_id)
        error, body = await reported_error(connection, "Function.Unknown")
        # An answer that is being streamed breaks off: here /error is allowed in the middle of it.
        invocation.answer.fail(error, body)
        self._settled(request_id)
        return accepted()

    async def _init_error(self, connection: Connection, _: str) -> Reply:
        self._states.move(State.INIT_ERROR)  # of several workers only the first is heard
        self._fail_init((await reported_error(connection, "Runtime.Unknown"))[0])
        return accepted()

    def _matching(self, connection: Connection, request_id: str) -> Invocation:
        self._check_in_time(request_id)
        invocation = self._running.get(request_id)
        nonce = connection.exchange.header("lambda-runtime-invocation-id")
        if invocation is None or (nonce and nonce != invocation.invocation_id):
            raise Refused(400, "InvalidRequestID", "Invalid request ID")
        return invocation

    def _check_in_time(self, request_id: str) -> None:
        """Raise Refused (410) if the invocation timed out; only the first late answer is told."""
        if request_id in self._timed_out:
            self._timed_out.remove(request_id)
            raise Refused(410, "InvokeTimeout", "Invoke timeout")

    def _settled(self, request_id: str) -> None:
        self._answering.discard(request_id)
        self._running.pop(request_id, None)

    def _settle(self) -> None:
        if self._slots and self.extensions.all_waiting:
            self.idle.set()
