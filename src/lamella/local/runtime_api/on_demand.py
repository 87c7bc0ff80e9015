"""The Runtime API of an environment that serves one event at a time.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. The environment calls
`dispatch`; the runtime's /next takes the invocation out, and its /response or /error writes
into the invocation's answer. `idle` is set while the runtime and all its extensions hang in
their /next and nothing is left to do: the moment at which Lambda freezes the sandbox.

With SnapStart there are /restore/next and /restore/error. A runtime that has asked for the first
waits there (`idle`, too), which is where Lambda takes its snapshot; `restore` answers it, and the
runtime goes on to /next. One that never asks is restored as it is, as Lambda has it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from lamella.local.config import FunctionConfig
from lamella.local.runtime_api.api import INVOCATION, Api, handed, reported_error
from lamella.local.runtime_api.http11 import ACCEPTED, ApiError, ApiResponse, ServerConnection
from lamella.local.runtime_api.invocation import Invocation
from lamella.local.runtime_api.receiving import MAX_PAYLOAD, BrokenOff, is_streamed, receive
from lamella.local.runtime_api.states import RuntimeState
from lamella.local.runtime_api.traffic import Traffic

__all__ = ["MAX_PAYLOAD", "RuntimeApi"]


class RuntimeApi(Api):
    """See the module's docstring and Api."""

    def __init__(self, config: FunctionConfig, traffic: Traffic) -> None:
        super().__init__(config, traffic)
        self._pending: Invocation | None = None
        self._current: Invocation | None = None
        self._broken: dict[str, Any] | None = None
        self._next: asyncio.Future[Invocation] | None = None
        self._restored: asyncio.Future[None] | None = None  # what /restore/next waits for
        self.route("GET", f"{INVOCATION}/next", self.next)
        self.route("POST", f"{INVOCATION}/([^/]+)/response", self.response)
        self.route("POST", f"{INVOCATION}/([^/]+)/error", self.error)
        self.route("POST", "/2018-06-01/runtime/init/error", self.phase_error)
        if config.snap_start:
            self.route("GET", "/2018-06-01/runtime/restore/next", self.restore_next)
            self.route("POST", "/2018-06-01/runtime/restore/error", self.phase_error)

    @property
    def waiting(self) -> bool:
        """See Api."""
        return self._restored is not None or (self._next is not None and self._pending is None)

    def dispatch(self, invocation: Invocation) -> None:
        """Hand `invocation` to the runtime, now or when it next asks."""
        self._pending = invocation
        self.idle.clear()
        self.extensions.announce(invocation)
        if self._next is not None:
            self._next.set_result(self._take(invocation))
            self._next = None

    def restore(self) -> None:
        """See Api."""
        if self._restored is not None:
            self.idle.clear()
            self._restored.set_result(None)
            self._restored = None

    async def next(self, connection: ServerConnection, _: str) -> ApiResponse | None:
        """The runtime asks for an event, and waits for it without any limit."""
        if self.states.state is RuntimeState.RUNNING and self._current is not None:
            # Asked again before it answered: the same event.
            return ApiResponse(200, self._current.event, self._current.headers())
        self.states.move(RuntimeState.READY)
        self.extensions.closed = True
        if self._current is not None and self._broken is not None:
            self._current.answer.fail(self._broken)
        self._current = self._broken = None
        if self._pending is not None:
            invocation = self._take(self._pending)
            return ApiResponse(200, invocation.event, invocation.headers())
        waiting: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._next = waiting
        self.settle()
        if not await handed(waiting, connection):
            if self._next is waiting:
                self._next = None
                self.idle.clear()
            return None
        invocation = waiting.result()
        return ApiResponse(200, invocation.event, invocation.headers())

    async def response(self, connection: ServerConnection, request_id: str) -> ApiResponse:
        """The runtime answers, at once or as a stream."""
        invocation = self._matching(connection, request_id)
        streamed = is_streamed(connection)
        self.states.move(RuntimeState.RESPONDING)
        try:
            await receive(connection, invocation.answer, streamed)
        except BrokenOff as broken:
            # Mostly the process died, and its exit will say more; a living one calls /next.
            self._broken = broken.error
            raise
        finally:
            self.states.move(RuntimeState.ANSWERED)
        return ACCEPTED

    async def error(self, connection: ServerConnection, request_id: str) -> ApiResponse:
        """The runtime reports that the invocation failed."""
        invocation = self._matching(connection, request_id)
        self.states.move(RuntimeState.FAILING)
        try:
            invocation.answer.fail(*await reported_error(connection, "Function.Unknown"))
        finally:
            self.states.move(RuntimeState.ANSWERED)
        return ACCEPTED

    async def phase_error(self, connection: ServerConnection, _: str) -> ApiResponse:
        """The runtime reports that init or restore failed, the latter also as an init error."""
        restoring = self.states.state is RuntimeState.RESTORING or "/restore/" in (
            connection.exchange.path
        )
        self.states.move(RuntimeState.RESTORE_ERROR if restoring else RuntimeState.INIT_ERROR)
        self.fail_init((await reported_error(connection, "Runtime.Unknown"))[0])
        return ACCEPTED

    async def restore_next(self, connection: ServerConnection, _: str) -> ApiResponse | None:
        """The runtime is ready for its snapshot, and waits for the restore."""
        self.states.move(RuntimeState.RESTORE_READY)
        self.extensions.closed = True
        self._restored = restored = asyncio.get_running_loop().create_future()
        self.settle()
        if not await handed(restored, connection):
            self._restored = None
            self.idle.clear()
            return None
        self.states.move(RuntimeState.RESTORING)
        return ApiResponse(200)

    def _matching(self, connection: ServerConnection, request_id: str) -> Invocation:
        current = self._current
        nonce = connection.exchange.header("lambda-runtime-invocation-id")
        # A nonce that differs: a late answer to an earlier attempt that had the same request id.
        if (
            current is None
            or current.request_id != request_id
            or (nonce and nonce != current.invocation_id)
        ):
            raise ApiError(400, "InvalidRequestID", "Invalid request ID")
        return current

    def _take(self, pending: Invocation) -> Invocation:
        self._current, self._pending = pending, None
        self.states.move(RuntimeState.RUNNING)
        return pending
