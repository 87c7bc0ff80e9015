"""Waiting for what is about to happen, and looking at processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path


def process_state(pid: int) -> str:
    """The letter of proc(5): "T" is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_running(pid: int) -> bool:
    """Whether the process is there, and more than a zombie that nobody has reaped."""
    try:
        os.kill(pid, 0)
        return sys.platform != "linux" or process_state(pid) != "Z"
    except (ProcessLookupError, FileNotFoundError):  # at the latest while its state is read
        return False


PATIENCE = 60.0
"""Seconds for what takes a moment, on a machine that has other things to do as well."""


async def until(condition: Callable[[], bool], limit: float = PATIENCE) -> None:
    """Wait for a condition. Raises AssertionError when it does not come true in time."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
