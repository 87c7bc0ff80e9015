"""What runs between an answer and the freeze: the queues of logging."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from logging.handlers import QueueHandler, QueueListener
from queue import Queue
from typing import Any

import pytest

from lamella.life import freeze

pytestmark = pytest.mark.anyio

logger = logging.getLogger("tests.freeze")


@pytest.fixture
def records() -> Iterator[Queue[Any]]:
    """The queue behind the logger, which nobody empties yet."""
    queue: Queue[Any] = Queue()
    handler = QueueHandler(queue)
    logger.addHandler(handler)
    freeze._log_queues.cache_clear()
    yield queue
    logger.removeHandler(handler)
    freeze._log_queues.cache_clear()


class Slow(logging.Handler):
    """Takes a moment for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.02)


async def cut_off(hooks: list[Any], seconds: float) -> None:
    """Run hooks that do not end in time, and let them see that."""
    await freeze.run(hooks, seconds)
    await asyncio.sleep(0.01)


async def test_a_queue_that_is_long_once_is_waited_for_again(records: Queue[Any]) -> None:
    listener = QueueListener(records, Slow())
    listener.start()
    for number in range(100):
        logger.error("record %d", number)
    await cut_off(freeze.hooks(flush=True), 0.3)
    assert records.unfinished_tasks, "there was no time for all of them"
    await freeze.run(freeze.hooks(flush=True), 60)
    assert not records.unfinished_tasks
    listener.stop()


async def test_a_slow_hook_does_not_cost_the_queue_its_turn(records: Queue[Any]) -> None:
    async def export() -> None:
        await asyncio.sleep(60)

    logger.error("a record")
    await cut_off([export, *freeze.hooks(flush=True)], 0.1)
    listener = QueueListener(records, Slow())
    listener.start()
    await freeze.run(freeze.hooks(flush=True), 60)
    assert not records.unfinished_tasks
    listener.stop()


async def test_a_queue_that_nobody_empties_is_waited_for_once(records: Queue[Any]) -> None:
    logger.error("a record")
    await cut_off(freeze.hooks(flush=True), 0.3)
    assert freeze.log_queues not in freeze.hooks(flush=True)
