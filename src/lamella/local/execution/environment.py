"""One execution environment, and a new process whenever one is lost.

Life: init, idle (frozen), busy, ..., stopping, dead. A process that exits, fails in init or
runs over a time limit is replaced within the next invocation, under the function's timeout, as
Lambda resets a sandbox; https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.

On demand it serves one event at a time. On managed instances as many as the runtime has slots,
it is never frozen, and a process that exits is replaced at once. With SnapStart a restore follows
each init: the runtime is held in /restore/next, and goes on in the same process. On AWS many
environments are restored from the memory of one init, and all their connections are lost; neither
is played here.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import sys
import time
import uuid
from collections import deque
from collections.abc import Coroutine
from typing import Any

from lamella.front_doors.answer import Answer, InvokeResult
from lamella.local.config import FunctionConfig
from lamella.local.execution.process import LineCallback
from lamella.local.execution.report import end_line, init_report_line, report_line, start_line
from lamella.local.execution.sandbox import STOPPED, Failure, ManagedSandbox, Sandbox
from lamella.local.runtime_api.invocation import InvokeOptions, build_invocation
from lamella.local.runtime_api.traffic import Traffic
from lamella.local.waits import first_of

MAX_LOG_LINES = 10_000

RESTORE_LIMIT = 10.0
"""Seconds from the restore to the first /next, hooks included,
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html."""


class EnvironmentState(enum.Enum):
    """Where an environment is in its life."""

    INIT = "init"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    DEAD = "dead"


class Environment:
    """`async with Environment(config) as env: result = await env.invoke({"a": 1})`.

    A failed init does not raise: see `init_error`. `log` gets each line that the process or
    Lambda writes (default: standard output), and `logs` keeps the last 10,000 of them. Lambda's
    go to `lambda_log` if it is given. `traffic` is what crossed the Runtime API.
    """

    def __init__(
        self,
        config: FunctionConfig,
        log: LineCallback | None = None,
        lambda_log: LineCallback | None = None,
    ) -> None:
        self.config = config
        self.state = EnvironmentState.DEAD
        self.init_error: Failure | None = None
        self.logs: deque[str] = deque(maxlen=MAX_LOG_LINES)
        self.traffic = Traffic()
        self._log = log or print_line
        self._lambda_log = lambda_log or self._log
        # On managed instances events take no turns.
        self._turn: contextlib.AbstractAsyncContextManager[None] = (
            contextlib.nullcontext() if config.managed else asyncio.Lock()
        )
        self._starting = asyncio.Lock()
        self._handing = asyncio.Lock()
        self._stopping = False
        self._serving: set[asyncio.Task[None]] = set()
        self._sandbox: Sandbox | None = None
        self._cold_init: float | None = None
        self._running: set[Answer] = set()
        self._opening = 0  # events that are on their way to a slot

    async def __aenter__(self) -> Environment:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process id of the runtime, or None while there is none."""
        return None if self._sandbox is None else self._sandbox.pid

    @property
    def slots(self) -> int:
        """How many more events could begin at this moment on managed instances."""
        if not isinstance(self._sandbox, ManagedSandbox):
            return 0
        return self._sandbox.slots - self._opening

    async def start(self) -> Failure | None:
        """Run the init phase (10 s on demand), and the restore; why it failed, or None."""
        async with self._turn, self._starting:
            failure = STOPPED if self._stopping else await self._init(None)
            self._become(EnvironmentState.DEAD if failure else EnvironmentState.IDLE)
            return failure

    async def invoke(self, event: bytes | dict[str, Any], **options: Any) -> InvokeResult:
        """Send one event and wait for all of its answer; `options` as in InvokeOptions."""
        return await (await self.open(event, **options)).collect()

    async def open(self, event: bytes | dict[str, Any], **options: Any) -> Answer:
        """Send one event; the answer can be read while it comes in (see Answer).

        Events are served in turn, but for managed instances, where one for which there is no
        slot fails with Runtime.Unavailable. `options` as in InvokeOptions; raises TypeError for
        others.
        """
        chosen = InvokeOptions(**options)
        answer = Answer(chosen.request_id or str(uuid.uuid4()))
        self._opening += 1
        self._in_background(self._serve(event, chosen, answer))
        return answer

    async def open_in_slot(
        self, event: bytes | dict[str, Any], patience: float, **options: Any
    ) -> Answer | None:
        """As open, on managed instances, but wait up to `patience` seconds for a slot; None if
        there is none by then. A runtime that has just answered takes a moment to ask again."""
        end = time.monotonic() + patience

        async def until_slot() -> None:
            while self.slots <= 0 and isinstance(self._sandbox, ManagedSandbox):
                await self._sandbox.next_slot()

        async with self._handing:
            await first_of(until_slot(), timeout=max(end - time.monotonic(), 0.0))
            if self.slots > 0 or self._sandbox is None:  # without one, the event brings one
                return await self.open(event, **options)
            return None

    async def stop(self) -> None:
        """End the process as Lambda's shutdown phase does; running invocations fail."""
        self._stopping = True
        self.state = EnvironmentState.STOPPING
        await self._reset(self._sandbox)
        if self._serving:
            await asyncio.wait(self._serving)
        async with self._turn, self._starting:
            await self._reset(self._sandbox)
        self.state = EnvironmentState.DEAD

    def write(self, line: str) -> None:
        """A line of the process, or about it."""
        self._keep(line)
        self._log(line)

    async def _serve(
        self, event: bytes | dict[str, Any], options: InvokeOptions, answer: Answer
    ) -> None:
        """One invocation, from its START line to its REPORT line.

        Where there is no sandbox it begins with another init ("suppressed init"), which takes its
        time from this invocation's.
        """
        async with self._turn:
            try:
                limit = self.config.timeout if options.timeout is None else options.timeout
                invocation = build_invocation(self.config, event, options, limit, answer)
                started = time.monotonic()
                self._running.add(answer)
                self._say(start_line(answer.request_id))
                self._become(EnvironmentState.BUSY)
                async with self._starting:
                    failure = STOPPED if self._stopping else None
                    if failure is None and self._sandbox is None:
                        failure = await self._init(limit)
                        # Part of this invocation's duration already.
                        answer.init, self._cold_init = self._cold_init, None
                    sandbox = self._sandbox
                self._opening -= 1
                if failure is None:
                    left = max(limit - (time.monotonic() - started), 0.0)
                    failure = STOPPED  # in the meantime, where there is no sandbox
                    if sandbox is not None:
                        failure = await sandbox.run(invocation, left, limit)
                await self._conclude(answer, time.monotonic() - started, failure)
            finally:
                self._running.discard(answer)
                answer.fail(STOPPED.error)  # only if something went wrong on our side
                answer.finish()

    async def _conclude(self, answer: Answer, duration: float, failure: Failure | None) -> None:
        used = None if self._sandbox is None else self._sandbox.max_memory_mb
        if failure is not None:
            answer.fail(failure.error)
            if failure.fatal and not self.config.managed:  # there, see _watch
                await self._reset(self._sandbox)
            self._say(f"{answer.request_id} {failure.message}")
        self._say(end_line(answer.request_id))
        init, self._cold_init = self._cold_init, None
        answer.init = answer.init or init
        report = report_line(
            answer.request_id,
            duration=duration,
            memory=self.config.memory,
            used=used,
            init=init,
            restored=self.config.snap_start,
            status=failure.status if failure else "",
            error_type=failure.error_type if failure and failure.status == "error" else "",
        )
        self._say(report)
        if self._running == {answer}:
            self._become(EnvironmentState.IDLE if self._sandbox else EnvironmentState.DEAD)

    async def _init(self, limit: float | None) -> Failure | None:
        """Start a sandbox within `limit` seconds, or in the time that its own phase has."""
        snap_start = self.config.snap_start
        self._become(EnvironmentState.INIT)
        self._say("INIT_START Runtime Version: local")
        started = time.monotonic()
        kind = ManagedSandbox if self.config.managed else Sandbox
        sandbox = self._sandbox = kind(self.config, self.traffic, self.write)
        # With SnapStart this init stands for one that was long ago, when the version was published.
        phase = self.config.init_limit if limit is None or snap_start else limit
        failure, restored = await sandbox.init(phase), False
        if failure is None and snap_start:
            self._say("RESTORE_START Runtime Version: local")
            started, restored = time.monotonic(), True
            failure = await sandbox.restore(RESTORE_LIMIT)
        self.init_error = failure
        self._cold_init = time.monotonic() - started
        if failure is not None:
            await self._reset(sandbox)
            words = (self._cold_init, failure.status, failure.error_type)
            self._say(init_report_line(*words, restored=restored))
        elif isinstance(sandbox, ManagedSandbox):
            self._in_background(self._watch(sandbox))
        return failure

    async def _watch(self, sandbox: Sandbox) -> None:
        """Managed instances replace an unhealthy environment, whether it has work or not."""
        failure = await sandbox.lost()
        if self._stopping:
            return
        async with self._starting:
            await self._reset(sandbox)
            self.write(f"{failure.message}: the environment is replaced")
            if not self._stopping:
                failed = await self._init(None)
                self._become(EnvironmentState.DEAD if failed else EnvironmentState.IDLE)

    async def _reset(self, sandbox: Sandbox | None) -> None:
        """Stop this sandbox, and be without one if it is the current one."""
        if sandbox is not None:
            if self._sandbox is sandbox:
                self._sandbox = None
            await sandbox.stop()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _become(self, state: EnvironmentState) -> None:
        if not self._stopping:
            self.state = state

    def _say(self, line: str) -> None:
        """A line of Lambda's own."""
        self._keep(line)
        self._lambda_log(line)

    def _keep(self, line: str) -> None:
        self.logs.append(line)
        for answer in self._running:
            answer.log.append(line)


def print_line(line: str) -> None:
    """Write one line of a log to standard output."""
    sys.stdout.write(line.replace("\r", "\n") + "\n")  # awslambdaric's line break in a record
    sys.stdout.flush()
