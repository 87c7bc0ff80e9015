"""One runtime process with its Runtime API, from its start to its end.

What ends it early (an exit, an init error, a time limit) comes back as a Failure with Lambda's
own error types and words; a new process needs a new Sandbox.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any, NamedTuple

from lamella.local.config import FunctionConfig
from lamella.local.execution.process import (
    MANAGED_GRACE,
    SIGTERM_GRACE,
    LineCallback,
    RuntimeProcess,
    WrapperError,
)
from lamella.local.execution.variables import process_variables
from lamella.local.runtime_api.api import Api
from lamella.local.runtime_api.invocation import Invocation
from lamella.local.runtime_api.managed import ManagedApi, Unavailable
from lamella.local.runtime_api.on_demand import RuntimeApi
from lamella.local.runtime_api.traffic import Traffic
from lamella.local.waits import first_of

DRAIN_LIMIT = 0.5
"""Seconds in which a dead process's last bytes are read."""


class Failure(NamedTuple):
    """Why an init phase or an invocation failed.

    `error` is Lambda's JSON, `status` the word in REPORT, `exit_code` that of the process
    (negative: a signal), or None if it did not end by itself. After one that is not `fatal`
    the sandbox serves the next event.
    """

    error: dict[str, Any]
    status: str
    exit_code: int | None = None
    fatal: bool = True

    @property
    def error_type(self) -> str:
        """Lambda's name for it, such as Runtime.ExitError."""
        return str(self.error.get("errorType", "Runtime.Unknown"))

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return str(self.error.get("errorMessage", ""))


STOPPED = Failure({"errorType": "Runtime.Shutdown", "errorMessage": "Environment stopped"}, "error")
"""What happens to an event that an environment did not begin before it was stopped."""


SHUT_DOWN = Failure(
    {
        "errorType": "Client.ExecutionEnvironmentShutDown",
        "errorMessage": "The environment shuts down",
    },
    "error",
    fatal=False,
)
"""What happens to events that run when an environment on managed instances is shut down."""


class Sandbox:
    """See the module's docstring. `init` comes first, then any number of `run`, then `stop`.

    With SnapStart `restore` comes after `init`.
    """

    grace = SIGTERM_GRACE

    def __init__(self, config: FunctionConfig, traffic: Traffic, on_line: LineCallback) -> None:
        self._config = config
        self._on_line = on_line
        self._traffic = traffic
        self._api: Api = self.make_api()
        self._process: RuntimeProcess | None = None
        self._stopping = asyncio.Event()

    def make_api(self) -> Api:
        """The Runtime API that its kind of environment has."""
        return RuntimeApi(self._config, self._traffic)

    @property
    def pid(self) -> int | None:
        """The process id of the runtime, or None before its start."""
        return None if self._process is None else self._process.pid

    @property
    def max_memory_mb(self) -> int | None:
        """The process's peak memory in MB, or None where this system does not tell."""
        return None if self._process is None else self._process.max_memory_mb()

    async def init(self, limit: float) -> Failure | None:
        """Start the process and wait until it and its extensions call /next; `limit` seconds.

        With SnapStart it waits in /restore/next then, unless it never asks for that.
        """
        try:
            await self._api.server.start()
            variables = process_variables(self._config, self._api.server.address)
            process = await RuntimeProcess.start(self._config, variables, self._on_line)
            self._process = process
        except WrapperError as error:
            self._on_line(str(error))
            return exit_failure(error.exit_code, str(error))
        except OSError as error:
            return Failure(_error("Runtime.InvalidEntrypoint", str(error)), "error")
        if self._stopping.is_set():  # while the process was being started
            await process.stop()
            await self._api.server.close()
            return STOPPED
        message = f"Init phase timed out after {limit:.2f} seconds"
        return await self._until_idle(process, limit, _error("Sandbox.Timedout", message))

    async def restore(self, limit: float) -> Failure | None:
        """Answer /restore/next and wait until the runtime calls /next; `limit` seconds."""
        process = self._running()
        process.thaw()
        self._api.restore()
        message = f"Restore and after-restore hooks took longer than {limit:.2f} seconds"
        return await self._until_idle(process, limit, _error("SnapStartTimeoutException", message))

    async def _until_idle(
        self, process: RuntimeProcess, limit: float, late: dict[str, Any]
    ) -> Failure | None:
        waits = (self._api.idle.wait(), self._api.init_failed.wait(), process.exited())
        ended = await first_of(*waits, self._stopping.wait(), timeout=limit)
        if self._stopping.is_set():
            return STOPPED
        if ended == 0:
            self._freeze()
            return None
        if ended is None:
            return Failure(late, "timeout")
        # A runtime reports and then exits, or exits with its report still in the socket.
        await first_of(process.exited(), timeout=DRAIN_LIMIT)
        await self._api.server.drained(DRAIN_LIMIT)
        if self._api.init_error is not None:
            return Failure(self._api.init_error, "error", process.exit_code)
        return exit_failure(process.exit_code or 0)

    async def run(self, invocation: Invocation, left: float, limit: float) -> Failure | None:
        """One invocation, until the runtime calls /next again; `left` seconds of its `limit`.

        The invocation's answer is complete or failed afterwards. After a fatal Failure this
        sandbox is of no further use but to be stopped.
        """
        process = self._running()
        process.thaw()
        self._api.dispatch(invocation)
        ended = await first_of(self._api.idle.wait(), process.exited(), timeout=left)
        if ended == 0:
            self._freeze()
            return None
        failure = await self._lost(process) if ended == 1 else timeout_failure(limit)
        invocation.answer.fail(_with_request(failure.error, invocation.request_id))
        return failure

    async def lost(self) -> Failure:
        """Wait until the process has ended by itself, and say how."""
        process = self._running()
        await process.exited()
        return await self._lost(process)

    async def stop(self) -> None:
        """End the process; with a SIGTERM first if it has registered an extension.

        While it is being started, this only tells `init` to do so.
        """
        self._stopping.set()
        if self._process is not None:
            await self._process.stop(self.grace if len(self._api.extensions) else 0.0)
        await self._api.server.close()

    async def _lost(self, process: RuntimeProcess) -> Failure:
        await self._api.server.drained(DRAIN_LIMIT)
        return exit_failure(process.exit_code or 0)

    def _running(self) -> RuntimeProcess:
        if self._process is None:
            raise RuntimeError("this needs a process: call init() first")
        return self._process

    def _freeze(self) -> None:
        # Not while it is being shut down: it may just have answered, and has work to do still.
        if self._config.freeze and self._process is not None and not self._stopping.is_set():
            self._process.freeze()


class ManagedSandbox(Sandbox):
    """A sandbox on managed instances: `run` any number of times at a time, and never frozen."""

    grace = MANAGED_GRACE

    def make_api(self) -> Api:
        """See Sandbox."""
        self._managed = ManagedApi(self._config, self._traffic)
        return self._managed

    @property
    def slots(self) -> int:
        """How many events the runtime would take at this moment."""
        return self._managed.slots

    async def next_slot(self) -> None:
        """Wait until the runtime asks for another event."""
        self._managed.slot_came.clear()
        await self._managed.slot_came.wait()

    async def run(self, invocation: Invocation, left: float, limit: float) -> Failure | None:
        """One invocation, until it is answered; `left` seconds of its `limit`, after which only
        the caller gives up and the code runs on. Refused where no slot is free."""
        process, answer = self._running(), invocation.answer
        try:
            self._managed.dispatch(invocation)
        except Unavailable:
            message = "no idle runtimes: every slot of the environment is busy"
            refused = Failure(_error("Runtime.Unavailable", message), "error", fatal=False)
            answer.fail(refused.error)
            return refused
        ended = await first_of(answer.complete(), process.exited(), timeout=left)
        if ended == 0:
            return SHUT_DOWN if answer.error == SHUT_DOWN.error else None
        if ended == 1:
            failure = await self._lost(process)
        else:
            self._managed.expire(invocation)
            failure = timeout_failure(limit)._replace(fatal=False)
        answer.fail(_with_request(failure.error, invocation.request_id))
        return failure

    async def stop(self) -> None:
        """As Sandbox, but what runs is aborted before."""
        if self._process is not None and self._process.exit_code is None:
            await self._managed.abort(SHUT_DOWN.error)
        await super().stop()

    def _freeze(self) -> None:
        """Managed instances run continuously."""


def exit_failure(exit_code: int, detail: str = "") -> Failure:
    """The process has ended; `exit_code` is negative for a signal."""
    if exit_code == 0:
        message = "Runtime exited without providing a reason"
    elif exit_code < 0:
        name = (signal.strsignal(-exit_code) or str(-exit_code)).lower()
        message = f"Runtime exited with error: signal: {name}"
    else:
        message = f"Runtime exited with error: exit status {exit_code}"
    message += f" ({detail})" if detail else ""
    return Failure(_error("Runtime.ExitError", message), "error", exit_code)


def timeout_failure(limit: float) -> Failure:
    """An invocation took longer than `limit` seconds, a part of which an init may have had."""
    message = f"Task timed out after {limit:.2f} seconds"
    return Failure(_error("Sandbox.Timedout", message), "timeout")


def _error(error_type: str, message: str) -> dict[str, Any]:
    return {"errorType": error_type, "errorMessage": message}


def _with_request(error: dict[str, Any], request_id: str) -> dict[str, Any]:
    message = f"RequestId: {request_id} Error: {error['errorMessage']}"
    return {**error, "errorMessage": message}
