"""One runtime process with its Runtime API, from its start to its end.

What ends it early (an exit, an init error, a time limit) comes back as a Failure with Lambda's
own error types and words; a new process needs a new Sandbox.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .config import FunctionConfig
from .invocation import Invocation
from .process import LineCallback, RuntimeProcess, WrapperError
from .runtime_api import RuntimeApi
from .traffic import Traffic
from .variables import process_variables
from .waits import first_of

DRAIN_LIMIT = 0.5
"""Seconds in which a dead process's last bytes are read."""


class Failure(NamedTuple):
    """Why an init phase or an invocation failed.

    `error` is Lambda's JSON, `status` the word in REPORT, `exit_code` that of the process
    (negative: a signal), or None if it did not end by itself.
    """

    error: dict[str, Any]
    status: str
    exit_code: int | None = None

    @property
    def error_type(self) -> str:
        """Lambda's name for it, such as Runtime.ExitError."""
        return str(self.error.get("errorType", "Runtime.Unknown"))

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return str(self.error.get("errorMessage", ""))


class Sandbox:
    """See the module's docstring. `init` comes first, then any number of `run`, then `stop`."""

    def __init__(self, config: FunctionConfig, traffic: Traffic, on_line: LineCallback) -> None:
        self._config = config
        self._on_line = on_line
        self._api = RuntimeApi(config, traffic)
        self._process: RuntimeProcess | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the runtime, or None before its start."""
        return None if self._process is None else self._process.pid

    @property
    def max_memory_mb(self) -> int | None:
        """The process's peak memory in MB, or None where this system does not tell."""
        return None if self._process is None else self._process.max_memory_mb()

    async def init(self, limit: float) -> Failure | None:
        """Start the process and wait until it and its extensions call /next; `limit` seconds."""
        await self._api.server.start()
        variables = process_variables(self._config, self._api.server.address)
        try:
            process = await RuntimeProcess.start(self._config, variables, self._on_line)
        except WrapperError as error:
            self._on_line(str(error))
            return _exit_failure(error.exit_code, str(error))
        except OSError as error:
            return Failure(_error("Runtime.InvalidEntrypoint", str(error)), "error")
        self._process = process
        waits = (self._api.idle.wait(), self._api.init_failed.wait(), process.exited())
        ended = await first_of(*waits, timeout=limit)
        if ended == 0:
            self._freeze()
            return None
        return await self._init_failure(process, limit, timed_out=ended is None)

    async def _init_failure(
        self, process: RuntimeProcess, limit: float, timed_out: bool
    ) -> Failure:
        if timed_out:
            message = f"Init phase timed out after {limit:.2f} seconds"
            return Failure(_error("Sandbox.Timedout", message), "timeout")
        # A runtime reports and then exits, or exits with its report still in the socket.
        await first_of(process.exited(), timeout=DRAIN_LIMIT)
        await self._api.server.drained(DRAIN_LIMIT)
        if self._api.init_error is not None:
            return Failure(self._api.init_error, "error", process.exit_code)
        return _exit_failure(process.exit_code or 0)

    async def run(self, invocation: Invocation, limit: float) -> Failure | None:
        """One invocation, until the runtime calls /next again; `limit` seconds.

        The invocation's answer is complete or failed afterwards. After a Failure this sandbox
        is of no further use but to be stopped.
        """
        process = self._process
        if process is None:
            raise RuntimeError("run() needs a process: call init() first")
        process.thaw()
        self._api.dispatch(invocation)
        ended = await first_of(self._api.idle.wait(), process.exited(), timeout=limit)
        if ended == 0:
            self._freeze()
            return None
        if ended == 1:
            await self._api.server.drained(DRAIN_LIMIT)
            failure = _exit_failure(process.exit_code or 0)
        else:
            failure = _timeout_failure(limit)
        await invocation.answer.fail(_with_request(failure.error, invocation.request_id))
        return failure

    async def stop(self) -> None:
        """End the process; with a SIGTERM first if it has registered an extension."""
        if self._process is not None:
            await self._process.stop(terminate=len(self._api.extensions) > 0)
        await self._api.server.close()

    def _freeze(self) -> None:
        if self._config.freeze and self._process is not None:
            self._process.freeze()


def _error(error_type: str, message: str) -> dict[str, Any]:
    return {"errorType": error_type, "errorMessage": message}


def _with_request(error: dict[str, Any], request_id: str) -> dict[str, Any]:
    message = f"RequestId: {request_id} Error: {error['errorMessage']}"
    return {**error, "errorMessage": message}


def _exit_failure(exit_code: int, detail: str = "") -> Failure:
    if exit_code == 0:
        message = "Runtime exited without providing a reason"
    elif exit_code < 0:
        message = f"Runtime exited with error: signal: {-exit_code}"
    else:
        message = f"Runtime exited with error: exit status {exit_code}"
    message += f" ({detail})" if detail else ""
    return Failure(_error("Runtime.ExitError", message), "error", exit_code)


def _timeout_failure(limit: float) -> Failure:
    message = f"Task timed out after {limit:.2f} seconds"
    return Failure(_error("Sandbox.Timedout", message), "timeout")
