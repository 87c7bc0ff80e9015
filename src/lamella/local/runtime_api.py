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

from lamella.local.api import Api, handed, reported_error
from lamella.local.config import FunctionConfig
from lamella.local.http11 import Connection
from lamella.local.invocation import Invocation
from lamella.local.receiving import MAX_PAYLOAD, BrokenOff, is_streamed, receive
from lamella.local.replies import Refused, Reply, accepted
from lamella.local.states import RuntimeStates, State
from lamella.local.traffic import Traffic

__all__ = ["MAX_PAYLOAD", "RuntimeApi"]


class RuntimeApi(Api):
    """See the module's docstring and Api."""

    def __init__(self, config: FunctionConfig, traffic: Traffic) -> None:
        super().__init__(config, traffic)
        self._states = RuntimeStates()
        self._pending: Invocation | None = None
        self._current: Invocation | None = None
        self._broken: dict[str, Any] | None = None
        self._next: asyncio.Future[Invocation] | None = None
        self._restored: asyncio.Future[None] | None = None  # what /restore/next waits for
        invocation = "/2018-06-01/runtime/invocation"
        self._route("GET", f"{invocation}/next", self._get_next)
        self._route("POST", f"{invocation}/([^/]+)/response", self._response)
        self._route("POST", f"{invocation}/([^/]+)/error", self._error)
        self._route("POST", "/2018-06-01/runtime/init/error", self._init_error)
        if config.snap_start:
            self._route("GET", "/2018-06-01/runtime/restore/next", self._restore_next)
            self._route("POST", "/2018-06-01/runtime/restore/error", self._restore_error)

    @property
    def in_init(self) -> bool:
        return self._states.state is State.STARTED

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

    async def _get_next(self, connection: Connection, _: str) -> Reply | None:
        if self._states.state is State.RUNNING and self._current is not None:
            return _event_reply(self._current)  # asked again before it answered: the same event
        self._states.move(State.READY)
        self.extensions.closed = True
        if self._current is not None and self._broken is not None:
            self._current.answer.fail(self._broken)
        self._current = self._broken = None
        if self._pending is not None:
            return _event_reply(self._take(self._pending))
        waiting: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._next = waiting
        self._settle()
        if not await handed(waiting, connection):
            if self._next is waiting:
                self._next = None
                self.idle.clear()
            return None
        return _event_reply(waiting.result())

    async def _response(self, connection: Connection, request_id: str) -> Reply:
        invocation = self._matching(connection, request_id)
        streamed = is_streamed(connection)
        self._states.move(State.RESPONDING)
        try:
            return await receive(connection, invocation.answer, streamed)
        except BrokenOff as broken:
            # Mostly the process died, and its exit will say more; a living one calls /next.
            self._broken = broken.error
            raise
        finally:
            self._states.move(State.ANSWERED)

    async def _error(self, connection: Connection, request_id: str) -> Reply:
        invocation = self._matching(connection, request_id)
        self._states.move(State.FAILING)
        try:
            error, body = await reported_error(connection, "Function.Unknown")
            invocation.answer.fail(error, body)
        finally:
            self._states.move(State.ANSWERED)
        return accepted()

    async def _init_error(self, connection: Connection, _: str) -> Reply:
        # Older runtimes report a failed restore here, too.
        restoring = self._states.state is State.RESTORING
        return await self._fail(connection, State.RESTORE_ERROR if restoring else State.INIT_ERROR)

    async def _restore_next(self, connection: Connection, _: str) -> Reply | None:
        self._states.move(State.RESTORE_READY)
        self.extensions.closed = True
        self._restored = restored = asyncio.get_running_loop().create_future()
        self._settle()
        if not await handed(restored, connection):
            self._restored = None
            self.idle.clear()
            return None
        self._states.move(State.RESTORING)
        return Reply(200)

    async def _restore_error(self, connection: Connection, _: str) -> Reply:
        return await self._fail(connection, State.RESTORE_ERROR)

    async def _fail(self, connection: Connection, to: State) -> Reply:
        self._states.move(to)
        error, _ = await reported_error(connection, "Runtime.Unknown")
        self._fail_init(error)
        return accepted()

    def _matching(self, connection: Connection, request_id: str) -> Invocation:
        current = self._current
        nonce = connection.exchange.header("lambda-runtime-invocation-id")
        if current is None or current.request_id != request_id:
            raise Refused(400, "InvalidRequestID", "Invalid request ID")
        if nonce and nonce != current.invocation_id:
            # A late answer to an earlier attempt that had the same request id.
            raise Refused(400, "InvalidRequestID", "Invalid request ID")
        return current

    def _take(self, pending: Invocation) -> Invocation:
        self._current, self._pending = pending, None
        self._states.move(State.RUNNING)
        return pending

    def _settle(self) -> None:
        waits = self._next is not None and self._pending is None
        waits = waits or self._restored is not None
        if waits and self.extensions.all_waiting:
            self.idle.set()


def _event_reply(invocation: Invocation) -> Reply:
    return Reply(200, invocation.event, invocation.headers())
