"""Which of a function's environments served its events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from lamella.local.execution.environment import EnvironmentState
from lamella.local.execution.function import LocalFunction
from tests.waiting import until

LIMIT = 30.0
"""Seconds that events may take to end on a busy machine."""


@contextlib.asynccontextmanager
async def served(function: LocalFunction, events: int) -> AsyncIterator[set[int]]:
    """Wait for the end of so many events, all that there are; then the set has who served them."""
    await until(lambda: _is_idle(function), LIMIT)
    before, environments = _reports(function), set[int]()
    total = sum(before.values()) + events
    yield environments
    await until(lambda: sum(_reports(function).values()) >= total, LIMIT)
    after = _reports(function)
    assert sum(after.values()) == total
    environments |= {each for each in after if after[each] > before.get(each, 0)}


def _is_idle(function: LocalFunction) -> bool:
    return all(each.state is EnvironmentState.IDLE for each in function.environments)


def _reports(function: LocalFunction) -> dict[int, int]:
    """How many events each environment has served, as its REPORT lines say."""
    return {
        id(environment): sum(line.startswith("REPORT") for line in environment.logs)
        for environment in function.environments
    }
