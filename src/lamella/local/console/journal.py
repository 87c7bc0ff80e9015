"""The last invocations and the environments of a function, as they come."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from lamella.front_doors.answer import Answer
from lamella.local.execution.environment import Environment
from lamella.local.execution.function import LocalFunction
from lamella.local.execution.process import status_kb

MAX_RECORDS = 200
MAX_SAMPLES = 300
"""Seconds of an environment's past that are kept."""

MAX_KEPT = 1024 * 1024
"""Bytes of an event and of a result that are kept."""


@dataclass
class Record:
    """One invocation of `function`.

    `at` is epoch seconds; `received` and the answer's times are monotonic. `event` and `result`
    are the first MAX_KEPT bytes.
    """

    number: int
    function: LocalFunction
    environment: int
    event: bytes
    answer: Answer
    at: float = field(default_factory=time.time)
    received: float = field(default_factory=time.monotonic)
    streamed: bool = False
    first_at: float = 0.0

    @property
    def result(self) -> bytes:
        """What the function answered so far."""
        return bytes(self.answer.beginning)

    @property
    def is_done(self) -> bool:
        """Whether the environment is done with it."""
        return self.answer.finished_at > 0

    @property
    def log(self) -> list[str]:
        """What was logged meanwhile, Lambda's own lines included."""
        return list(self.answer.log)

    def timeline(self) -> list[tuple[str, float]]:
        """The phases so far, each with its seconds, in their order.

        What runs after the answer, background tasks and the flush of logs, cannot be told apart
        from outside of the process.
        """
        answer, now = self.answer, time.monotonic()
        points = [self.received, self.first_at or now, answer.response_at, answer.finished_at]
        reached = [points[0]]
        for point in points[1:]:
            reached.append(max(point or now, reached[-1]))
        names = ("until the first byte", "until the last byte", "background and flush")
        phases = [("init", answer.init)] if answer.init is not None else []
        phases += [
            (name, end - begin) for name, (begin, end) in zip(names, pairwise(reached), strict=True)
        ]
        return [(name, seconds) for name, seconds in phases if seconds >= 0.0001]


class Sample(NamedTuple):
    """An environment at one moment; `memory` is MB of resident memory, None where unknown."""

    at: float
    state: str
    memory: float | None


@dataclass
class Watched:
    """An environment and its past, one sample a second."""

    number: int
    environment: Environment
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))


class Journal:
    """Follows functions: it is their observer. `sample` runs beside them.

    `changed` is set, and replaced by another, with each change.
    """

    def __init__(self, functions: Sequence[LocalFunction]) -> None:
        self.functions = functions
        self.records: deque[Record] = deque(maxlen=MAX_RECORDS)
        self.watched: dict[Environment, Watched] = {}
        self.changed = asyncio.Event()
        self._numbers = itertools.count(1)
        self._environments = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        for function in functions:
            function.observer = partial(self._observe, function)

    def _observe(
        self,
        function: LocalFunction,
        environment: Environment,
        event: bytes | dict[str, Any],
        answer: Answer,
    ) -> None:
        answer.keep = MAX_KEPT
        encoded = event if isinstance(event, bytes) else json.dumps(event).encode()
        watched = self._watch(environment)
        number = next(self._numbers)
        record = Record(number, function, watched.number, encoded[:MAX_KEPT], answer)
        self.records.append(record)
        self._tell()
        task = asyncio.ensure_future(self._attend(record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def find(self, number: int) -> Record | None:
        """The invocation of that number, if it is kept still."""
        return next((record for record in self.records if record.number == number), None)

    async def sample(self) -> None:
        """Look at the environments each second, for ever."""
        while True:
            alive = {each for function in self.functions for each in function.environments}
            for environment in alive:
                self._watch(environment)
            for gone in [each for each in self.watched if each not in alive]:
                del self.watched[gone]
            for environment, watched in self.watched.items():
                state = environment.state.value
                if state == "idle" and environment.config.freezes:
                    state = "frozen"
                watched.samples.append(Sample(time.time(), state, resident_mb(environment.pid)))
            await asyncio.sleep(1)

    async def _attend(self, record: Record) -> None:
        record.streamed = (await record.answer.head()).streamed
        # On a busy machine this comes late, and the answer may be complete before it.
        record.first_at = min(time.monotonic(), record.answer.response_at or math.inf)
        self._tell()
        await record.answer.finished()
        self._tell()

    def _watch(self, environment: Environment) -> Watched:
        if environment not in self.watched:
            self.watched[environment] = Watched(next(self._environments), environment)
        return self.watched[environment]

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def resident_mb(pid: int | None) -> float | None:
    """The process's resident memory; None where there is no process, or no /proc."""
    try:
        used = None if pid is None else status_kb(pid, "VmRSS")
    except OSError:
        return None
    return None if used is None else used / 1024
