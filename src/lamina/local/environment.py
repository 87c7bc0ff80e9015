"""One execution environment: one event at a time, and a new process whenever one is lost.

Life: init, idle (frozen), busy, ..., stopping, dead. A process that exits, fails in init or
runs over a time limit is replaced within the next invocation, under the function's timeout, as
Lambda resets a sandbox; https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.
"""

from __future__ import annotations

import asyncio
import enum
import json
import sys
import time
import uuid
from collections import deque
from types import TracebackType
from typing import Any, NamedTuple

from .config import FunctionConfig
from .invocation import Answer, Invocation, InvokeResult
from .process import LineCallback
from .report import end_line, init_report_line, report_line, start_line
from .sandbox import Failure, Sandbox
from .traffic import Traffic

MAX_LOG_LINES = 10_000

STOPPED = Failure({"errorType": "Runtime.Shutdown", "errorMessage": "Environment stopped"}, "error")
"""What happens to an event that an environment did not begin before it was stopped."""


class EnvironmentState(enum.Enum):
    """Where an environment is in its life."""

    INIT = "init"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    DEAD = "dead"


class InvokeOptions(NamedTuple):
    """What else an invocation may carry: `timeout` (seconds) replaces the function's; the
    others become headers of /next, the two contexts as JSON."""

    timeout: float | None = None
    client_context: dict[str, Any] | None = None
    cognito_identity: dict[str, Any] | None = None
    tenant_id: str = ""
    trace_id: str = ""


class Environment:
    """`async with Environment(config) as env: result = await env.invoke({"a": 1})`.

    A failed init does not raise: see `init_error`. `log` gets each line that the process or
    Lambda writes (default: standard output), and `logs` keeps the last 10,000 of them;
    `traffic` is what crossed the Runtime API.
    """

    def __init__(self, config: FunctionConfig, log: LineCallback | None = None) -> None:
        self.config = config
        self.state = EnvironmentState.DEAD
        self.init_error: Failure | None = None
        self.logs: deque[str] = deque(maxlen=MAX_LOG_LINES)
        self.traffic = Traffic()
        self._log = log or _print_line
        self._turn = asyncio.Lock()
        self._stopping = False
        self._serving: set[asyncio.Task[None]] = set()
        self._sandbox: Sandbox | None = None
        self._cold_init: float | None = None

    async def __aenter__(self) -> Environment:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the runtime, or None while there is none."""
        return None if self._sandbox is None else self._sandbox.pid

    async def start(self) -> Failure | None:
        """Run the init phase (10 s); why it failed, or None."""
        async with self._turn:
            failure = await self._init(self.config.init_timeout)
            if not self._stopping:
                self.state = EnvironmentState.DEAD if failure else EnvironmentState.IDLE
            return failure

    async def invoke(self, event: bytes | dict[str, Any], **options: Any) -> InvokeResult:
        """Send one event and wait for all of its answer; `options` as in InvokeOptions."""
        return await (await self.open(event, **options)).collect()

    async def open(self, event: bytes | dict[str, Any], **options: Any) -> Answer:
        """Send one event; the answer can be read while it comes in (see Answer).

        Events are served in turn. `options` as in InvokeOptions; raises TypeError for others.
        """
        chosen = InvokeOptions(**options)
        answer = Answer(str(uuid.uuid4()))
        task = asyncio.ensure_future(self._serve(event, chosen, answer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return answer

    async def stop(self) -> None:
        """End the process as Lambda's shutdown phase does; running invocations fail."""
        self._stopping = True
        self.state = EnvironmentState.STOPPING
        await self._reset()
        if self._serving:
            await asyncio.wait(self._serving)
        async with self._turn:
            await self._reset()
        self.state = EnvironmentState.DEAD

    async def _serve(
        self, event: bytes | dict[str, Any], options: InvokeOptions, answer: Answer
    ) -> None:
        async with self._turn:
            try:
                await self._invocation(event, options, answer)
            finally:
                await answer.fail(STOPPED.error)  # only if something went wrong on our side
                answer.finish()

    async def _invocation(
        self, event: bytes | dict[str, Any], options: InvokeOptions, answer: Answer
    ) -> None:
        limit = self.config.timeout if options.timeout is None else options.timeout
        invocation = _build(self.config, event, options, limit, answer)
        started = time.monotonic()
        self._say(start_line(answer.request_id))
        self._become(EnvironmentState.BUSY)
        failure = await self._perform(invocation, limit)
        duration = time.monotonic() - started
        used = None if self._sandbox is None else self._sandbox.max_memory_mb
        if failure is not None:
            await answer.fail(failure.error)
            await self._reset()
            self._say(f"{answer.request_id} {failure.message}")
        self._say(end_line(answer.request_id))
        self._say(self._report(answer, duration, used, failure))
        self._become(EnvironmentState.DEAD if failure else EnvironmentState.IDLE)

    async def _perform(self, invocation: Invocation, limit: float) -> Failure | None:
        """Init again if there is no process ("suppressed init"), then run the event."""
        started = time.monotonic()
        if self._stopping:
            return STOPPED
        if self._sandbox is None:
            failure = await self._init(limit)
            self._cold_init = None  # part of this invocation's duration already
            if failure is not None:
                return failure
        if (sandbox := self._sandbox) is None:  # stopped in the meantime
            return STOPPED
        left = max(limit - (time.monotonic() - started), 0.0)
        return await sandbox.run(invocation, left)

    async def _init(self, limit: float) -> Failure | None:
        self._become(EnvironmentState.INIT)
        self._say("INIT_START Runtime Version: local")
        started = time.monotonic()
        self._sandbox = Sandbox(self.config, self.traffic, self._say)
        self.init_error = failure = await self._sandbox.init(limit)
        self._cold_init = time.monotonic() - started
        if failure is not None:
            await self._reset()
            self._say(init_report_line(self._cold_init, failure.status, failure.error_type))
        return failure

    async def _reset(self) -> None:
        if self._sandbox is not None:
            sandbox, self._sandbox = self._sandbox, None
            await sandbox.stop()

    def _become(self, state: EnvironmentState) -> None:
        if not self._stopping:
            self.state = state

    def _report(
        self, answer: Answer, duration: float, used: int | None, failure: Failure | None
    ) -> str:
        init, self._cold_init = self._cold_init, None
        return report_line(
            answer.request_id,
            duration=duration,
            memory=self.config.memory,
            used=used,
            init=init,
            status=failure.status if failure else "",
            error_type=failure.error_type if failure and failure.status == "error" else "",
        )

    def _say(self, line: str) -> None:
        self.logs.append(line)
        self._log(line)


def _print_line(line: str) -> None:
    sys.stdout.write(line.replace("\r", "\n") + "\n")  # awslambdaric's line break in a record
    sys.stdout.flush()


def _build(
    config: FunctionConfig,
    event: bytes | dict[str, Any],
    options: InvokeOptions,
    limit: float,
    answer: Answer,
) -> Invocation:
    def as_json(value: dict[str, Any] | None) -> str:
        return "" if value is None else json.dumps(value)

    return Invocation(
        event=event if isinstance(event, bytes) else json.dumps(event).encode(),
        deadline_ms=int((time.time() + limit) * 1000),
        arn=config.arn,
        answer=answer,
        client_context=as_json(options.client_context),
        cognito_identity=as_json(options.cognito_identity),
        tenant_id=options.tenant_id,
        trace_id=options.trace_id,
        invocation_id=str(uuid.uuid4()) if config.invocation_ids else "",
    )
