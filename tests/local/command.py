"""The command `lamella` as a process of its own, and what its function sees."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue

import httpx
import pytest

LIMIT = 60.0
"""Seconds for what takes one or two, on a machine that has other things to do as well."""


class Cli:
    """A running `lamella`, and its output line by line."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        source = Path(__file__).resolve().parents[2] / "src"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lamella.tools.cli", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.seen: list[str] = []
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches, and return the match."""
        match = self.line_within(pattern, LIMIT)
        if match is None:
            pytest.fail(f"no line {pattern!r} in:\n" + "\n".join(self.seen))
        return match

    def line_within(self, pattern: str, seconds: float) -> re.Match[str] | None:
        end = time.monotonic() + seconds
        while True:
            try:
                self.seen.append(self._lines.get(timeout=max(end - time.monotonic(), 0.01)))
            except Empty:
                return None
            if match := re.search(pattern, self.seen[-1]):
                return match

    def url(self) -> str:
        return self.line(r"((?:http|ws)://127\.0\.0\.1:\d+\S*)   \(Ctrl-C stops\)")[1]

    def end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(LIMIT)

    def close(self) -> None:
        """End it; pytest shows what it said where the test fails."""
        try:
            self.end(signal.SIGTERM)
        finally:
            self.process.kill()  # where it did not end in time
            self.process.wait()
            self._reader.join(LIMIT)
            assert self.process.stdout is not None
            self.process.stdout.close()
            while not self._lines.empty():
                self.seen.append(self._lines.get())
            sys.stdout.write("\n".join([*self.seen, ""]))


Start = Callable[..., Cli]


def environ(url: str) -> dict[str, str]:
    """The variables of the runtime behind `url`."""
    got = httpx.post(url, json={"do": "environ"}, timeout=LIMIT)
    variables = got.json()["variables"]
    assert isinstance(variables, dict)
    return variables
