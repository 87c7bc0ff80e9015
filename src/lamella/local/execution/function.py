"""A function that scales as Lambda does: one environment for each event that runs at a time.

On managed instances there is one environment for many events, and no other is started when it
is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any

from lamella.front_doors.answer import Answer, InvokeResult
from lamella.front_doors.delivery import Throttled
from lamella.local.config import FunctionConfig
from lamella.local.execution.environment import Environment
from lamella.local.execution.process import LineCallback
from lamella.local.execution.sandbox import Failure
from lamella.local.waits import first_of

FINISHING_GRACE = 0.1
"""Seconds that an event waits for an environment which has answered and is about to ask for the
next one, before another is started. Over loopback a client's next request is quicker than that;
on AWS the network's latency covers it."""


LATE = (
    "The init phase took more than {:g} s and was ended. As on Lambda, it begins again with the "
    "first event, under the function's timeout of {:g} s. Import less, or prepare more in the "
    "build (lamella compile)."
)

Observer = Callable[[Environment, bytes | dict[str, Any], Answer], object]
"""Is told of each event: the environment that gets it, and the answer before anything is in it."""


def no_observer(environment: Environment, event: bytes | dict[str, Any], answer: Answer) -> None:
    """Look away."""


class LocalFunction:
    """Environments of one configuration, started on demand and kept warm.

    A warm one is reused, the most recently used first, so that a burst's extra environments
    stay out of the way. One whose init fails answers its event with the init error and is
    thrown away. On demand an init that takes too long is no failure: Lambda begins it again
    within the first event, under the function's own timeout,
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.

    With `spread` over 1 it is the other way round: events go to at least so many environments
    in turn, the least recently used first, so that an application which keeps in memory what
    its next event needs is found out. Managed instances have one environment, and no spread.
    """

    def __init__(
        self,
        config: FunctionConfig,
        *,
        concurrency: int = 10,
        spread: int = 1,
        log: LineCallback | None = None,
        lambda_log: LineCallback | None = None,
    ) -> None:
        self.observer: Observer = no_observer
        self.config = config
        self.concurrency = 1 if config.managed else concurrency
        self.spread = min(spread, self.concurrency)
        # With a debugger events wait for each other, and none is refused.
        self._capacity = config.max_concurrency or (sys.maxsize if config.debug else 1)
        self._logs = (log, lambda_log)  # as of Environment
        self._warm: list[Environment] = []  # the most recently used one last
        self._busy: dict[Environment, set[Answer]] = {}
        self._all: set[Environment] = set()
        self._generation = 0
        self._starting = asyncio.Lock()
        self._warming = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def __aenter__(self) -> LocalFunction:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def environments(self) -> list[Environment]:
        """All environments, busy and idle, in no order."""
        return list(self._all)

    async def warm(self) -> Failure | None:
        """Start `spread` environments before any event needs them; why an init failed, or None."""
        async with self._warming:
            for _ in range(self.spread):  # one by one: what fails for all is to be told once
                environment = self._new()
                if (failure := await self._start(environment)) is not None:
                    return failure
                self._warm.append(environment)
        return None

    async def invoke(self, event: bytes | dict[str, Any], **options: Any) -> InvokeResult:
        """Send one event and wait for all of its answer. Raises Throttled."""
        return await (await self.open(event, **options)).collect()

    async def open(self, event: bytes | dict[str, Any], **options: Any) -> Answer:
        """Send one event to a free environment, or to a new one. Raises Throttled.

        `options` as in InvokeOptions.
        """
        environment = self._free() or await self._soon_free()
        if environment is None:
            async with self._starting if self.config.managed else contextlib.nullcontext():
                environment = self._free()
                if environment is None:
                    environment, generation = self._new(), self._generation
                    if (failure := await self._start(environment)) is not None:
                        failed = Answer("")
                        self.observer(environment, event, failed)
                        failed.fail(failure.error)
                        failed.finish()
                        return failed
                    if generation == self._generation:
                        self._warm.append(environment)
        if self.config.managed:
            answer = await environment.open_in_slot(event, FINISHING_GRACE, **options)
        else:
            answer = await environment.open(event, **options)
        if answer is None:
            raise Throttled(self._full())
        self.observer(environment, event, answer)
        self._busy.setdefault(environment, set()).add(answer)
        task = asyncio.ensure_future(self._release(environment, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return answer

    async def replace(self) -> None:
        """Use new environments from now on; busy ones end when their events are done."""
        self._generation += 1
        outdated, self._warm = self._warm, []
        idle = [environment for environment in outdated if environment not in self._busy]
        await asyncio.gather(*(self._discard(environment) for environment in idle))

    async def stop(self) -> None:
        """Stop every environment, for good; leaves no process behind."""
        self._stopped, self._warm = True, []
        await asyncio.gather(*(self._discard(environment) for environment in self._all))
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _free(self) -> Environment | None:
        """The environment that takes the next event; None where it should be a new one."""
        if self.spread > 1:
            return None if len(self._all) < self.spread else self._first_free(self._warm)
        return self._first_free(reversed(self._warm))

    async def _soon_free(self) -> Environment | None:
        """The environment that an event waits for, where one is about to be free."""
        running = list(itertools.chain(*self._busy.values()))
        finishing = [answer for answer in running if answer.ended]
        if self._warming.locked():
            async with self._warming:  # what is being started is for this event
                pass
        elif self.config.debug and running:
            # The one environment is outdated, and its debugger waits for a developer.
            await asyncio.wait([asyncio.ensure_future(answer.finished()) for answer in running])
            await asyncio.sleep(0)  # let _release see it, too
        elif finishing:
            ends = (answer.finished() for answer in finishing)
            await first_of(*ends, timeout=FINISHING_GRACE)
            await asyncio.sleep(0)
        return self._free()

    def _first_free(self, environments: Iterable[Environment]) -> Environment | None:
        for environment in environments:
            if len(self._busy.get(environment, ())) < self._capacity:
                return environment
        return None

    def _new(self) -> Environment:
        if self._stopped:
            raise Throttled("the function is stopped")
        # Managed instances start the new environment before the outdated one has ended.
        if len(self._warm if self.config.managed else self._all) >= self.concurrency:
            raise Throttled(self._full())
        environment = Environment(self.config, *self._logs)
        self._all.add(environment)
        return environment

    async def _start(self, environment: Environment) -> Failure | None:
        """Run the init phase of a new environment; if it fails, the environment is thrown away."""
        failure = await environment.start()
        if failure is None:
            return None
        on_demand = not (self.config.managed or self.config.snap_start)
        if on_demand and failure.status == "timeout":
            environment.write(LATE.format(self.config.init_limit, self.config.timeout))
            return None
        await self._discard(environment)
        return failure

    def _full(self) -> str:
        if self.config.managed:
            return (
                f"all {self._capacity} slots of the environment are busy: raise "
                "max_concurrency, or send fewer requests at a time"
            )
        return (
            f"all {self.concurrency} environments are busy: raise the concurrency limit, "
            "or send fewer requests at a time"
        )

    async def _release(self, environment: Environment, answer: Answer) -> None:
        await answer.finished()
        running = self._busy[environment]
        running.discard(answer)
        if not running:
            del self._busy[environment]
            if environment in self._warm:
                self._warm.remove(environment)
                self._warm.append(environment)
            elif environment in self._all:
                await self._discard(environment)

    async def _discard(self, environment: Environment) -> None:
        self._all.discard(environment)
        await environment.stop()
