"""A function that scales as Lambda does: one environment for each event that runs at a time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from .config import FunctionConfig
from .environment import Environment
from .invocation import Answer, InvokeResult
from .process import LineCallback
from .sandbox import Failure
from .waits import first_of

FINISHING_GRACE = 0.1
"""Seconds that an event waits for an environment which has answered and is about to ask for the
next one, before another is started. Over loopback a client's next request is quicker than that;
on AWS the network's latency covers it."""


class Throttled(Exception):
    """All environments are busy and the limit does not allow another: Lambda's 429."""


class LocalFunction:
    """Environments of one configuration, started on demand and kept warm.

    A warm one is reused, the most recently used first, so that a burst's extra environments
    stay out of the way. One whose init fails answers its event with the init error and is
    thrown away.
    """

    def __init__(
        self, config: FunctionConfig, *, concurrency: int = 10, log: LineCallback | None = None
    ) -> None:
        self.config = config
        self.concurrency = concurrency
        self._log = log
        self._idle: list[Environment] = []
        self._busy: dict[Environment, Answer] = {}
        self._all: set[Environment] = set()
        self._outdated: set[Environment] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def __aenter__(self) -> LocalFunction:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def environments(self) -> list[Environment]:
        """All environments, busy and idle, in no order."""
        return list(self._all)

    async def warm(self) -> Failure | None:
        """Start one environment before any event needs it; why its init failed, or None."""
        environment = self._new()
        failure = await environment.start()
        if failure is None:
            self._idle.append(environment)
        else:
            await self._discard(environment)
        return failure

    async def invoke(self, event: bytes | dict[str, Any], **options: Any) -> InvokeResult:
        """Send one event and wait for all of its answer. Raises Throttled."""
        return await (await self.open(event, **options)).collect()

    async def open(self, event: bytes | dict[str, Any], **options: Any) -> Answer:
        """Send one event to a free environment, or to a new one. Raises Throttled.

        `options` as in InvokeOptions.
        """
        if not self._idle:
            await self._wait_for_finishing()
        if self._idle:
            environment = self._idle.pop()
        elif len(self._all) >= self.concurrency:
            raise Throttled(
                f"all {self.concurrency} environments are busy: raise the concurrency limit, "
                "or send fewer requests at a time"
            )
        else:
            environment = self._new()
            failure = await environment.start()
            if failure is not None:
                return await self._failed(environment, failure)
        answer = self._busy[environment] = await environment.open(event, **options)
        self._in_background(self._release(environment, answer))
        return answer

    async def replace(self) -> None:
        """Use new environments from now on; busy ones end when their event is done."""
        idle, self._idle = self._idle, []
        self._outdated |= self._all.difference(idle)
        await asyncio.gather(*(self._discard(environment) for environment in idle))

    async def stop(self) -> None:
        """Stop every environment, for good; leaves no process behind."""
        self._stopped, self._idle = True, []
        await asyncio.gather(*(self._discard(environment) for environment in self._all))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _new(self) -> Environment:
        if self._stopped:
            raise Throttled("the function is stopped")
        environment = Environment(self.config, self._log)
        self._all.add(environment)
        return environment

    async def _failed(self, environment: Environment, failure: Failure) -> Answer:
        await self._discard(environment)
        answer = Answer("")
        await answer.fail(failure.error)
        answer.finish()
        return answer

    async def _wait_for_finishing(self) -> None:
        finishing = [answer for answer in self._busy.values() if answer.ended]
        if finishing:
            await first_of(*(answer.finished() for answer in finishing), timeout=FINISHING_GRACE)
            await asyncio.sleep(0)  # let _release see it, too

    async def _release(self, environment: Environment, answer: Answer) -> None:
        await answer.finished()
        del self._busy[environment]
        if environment in self._outdated:
            await self._discard(environment)
        elif environment in self._all:
            self._idle.append(environment)

    async def _discard(self, environment: Environment) -> None:
        self._outdated.discard(environment)
        self._all.discard(environment)
        await environment.stop()

    def _in_background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
