"""A thread with an event loop, for tests that have none."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CLEANUP_TIME = 5.0  # seconds for what still runs when the loop ends


class Runner:
    """Runs coroutines on a loop in a thread of its own, from its making to `close()`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="lamella-testing", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)  # an interpreter that ends would stop the thread anywhere

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result; raises what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def call(self, callback: Callable[[], None]) -> None:
        """Call it on the loop soon, if that still runs."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def close(self) -> None:
        """End the loop as `asyncio.run` does, and the thread."""
        atexit.unregister(self.close)
        self.run(_cancel_the_others())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=CLEANUP_TIME)
