"""`lamella run --debug`: a debugger in the terminal, tested with a pseudo terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from lamella.tools.cli import main
from tests.local.command import LIMIT


class InTerminal:
    """A command in a pseudo terminal of its own, and what it has written there."""

    def __init__(self, *command: str, cwd: Path) -> None:
        self.keyboard, screen = pty.openpty()
        self.modes = termios.tcgetattr(screen)
        source = Path(__file__).resolve().parents[3] / "src"
        variables = {**os.environ, "PYTHONPATH": str(source), "TERM": "xterm"}
        variables.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            command, cwd=cwd, env=variables, stdin=screen, stdout=screen, stderr=screen
        )
        self.screen = screen
        self.written = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for what matches, and forget all before its end."""
        end = time.monotonic() + LIMIT
        while (match := re.search(pattern, self.written)) is None:
            assert time.monotonic() < end, f"no {pattern!r} in {self.written!r}"
            if select.select([self.keyboard], [], [], 0.1)[0]:
                self.written += os.read(self.keyboard, 65_536).decode()
        self.written = self.written[match.end() :]
        return match

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(LIMIT)
        os.close(self.keyboard)
        os.close(self.screen)


@pytest.fixture
def terminal(tmp_path: Path, wrapper: Path) -> Iterator[InTerminal]:
    (tmp_path / "task").mkdir()
    command = (sys.executable, "-m", "lamella.tools", "run", "pkg.app:app", "--debug")
    options = ("--port", "0", "--layer", str(wrapper.parent), "--task-root", "task")
    with contextlib.closing(
        InTerminal(*command, *options, "--timeout", "0.5", cwd=tmp_path)
    ) as opened:
        yield opened


def test_breakpoint_works_in_the_terminal(terminal: InTerminal, tmp_path: Path) -> None:
    terminal.until("--debug: files can be written, and memory is not limited")
    url = terminal.until(r"http://127\.0\.0\.1:\d+")[0]

    def ask(value: int) -> dict[str, int]:
        got = httpx.post(url, json={"do": "debug", "value": value}, timeout=LIMIT)
        answer: dict[str, int] = got.json()
        return answer

    with ThreadPoolExecutor() as threads:
        first = threads.submit(ask, 1)
        terminal.until(r"\(Pdb\) ")
        second = threads.submit(ask, 2)  # waits, and is not refused
        time.sleep(0.7)  # past the timeout that the command line names
        for attempt in range(20):  # an edit, while the debugger waits
            (tmp_path / "task" / "app.py").write_text(f"{attempt}")
            with contextlib.suppress(AssertionError):
                terminal.until("app.py changed")
                break
        terminal.type("value = 42\nc\n")
        assert first.result()["value"] == 42
        terminal.until(r"\(Pdb\) ")
        terminal.type("p value + 40\nc\n")
        terminal.until(r"\b42\b")
        assert second.result()["value"] == 2
    terminal.until("\x1b\\[32m200")  # in colour: it is a terminal


def test_the_terminal_is_left_as_it_was(terminal: InTerminal) -> None:
    url = terminal.until(r"http://127\.0\.0\.1:\d+")[0]
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(httpx.post, url, json={"do": "debug", "value": 1}, timeout=LIMIT)
        terminal.until(r"\(Pdb\) ")
        terminal.process.send_signal(signal.SIGINT)
        terminal.process.wait(LIMIT)
        assert asked.exception() is not None or asked.result().status_code >= 500
    assert termios.tcgetattr(terminal.screen) == terminal.modes


def test_a_debugger_has_one_environment() -> None:
    done = CliRunner().invoke(main, ["run", "a:b", "--debug", "--managed", "2"])
    assert done.exit_code == 2
    assert "a debugger has one environment" in done.output
