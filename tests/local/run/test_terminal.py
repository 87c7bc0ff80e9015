"""What `lamella run` writes, and how it looks on a terminal."""

from __future__ import annotations

import io

import pytest

from lamella.local.endpoints.event_line import EventLine
from lamella.local.run.terminal import Terminal

RECORD = "[ERROR]\t2026-11-28T20:32:25.424Z\t8a5d\tno\tway\rTraceback"


class Screen(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def written(file: io.StringIO, *, lambda_logs: bool = False) -> str:
    terminal = Terminal(lambda_logs=lambda_logs, file=file)
    terminal.written(RECORD)
    terminal.written("printed\t[bold]as it is[/]")
    terminal.lambda_line("REPORT RequestId: 8a5d")
    terminal.event(EventLine("GET", "/[a]?b=1", 200, 5, seconds=0.0123, notes=("streamed",)))
    return file.getvalue()


PLAIN = (
    "ERROR no\tway\nTraceback\nprinted\t[bold]as it is[/]\nGET /[a]?b=1 200 12 ms 5 B  streamed\n"
)


def test_a_pipe_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert written(io.StringIO()).expandtabs() == PLAIN.expandtabs()


def test_a_terminal_has_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = written(Screen())
    assert "\x1b[1;31mERROR\x1b[0m no" in text
    assert "\x1b[1mGET\x1b[0m /[a]?b=1 \x1b[32m200\x1b[0m 12 ms" in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert written(Screen()).expandtabs() == PLAIN.expandtabs()


def test_lambda_logs_are_as_lambda_writes_them() -> None:
    text = written(io.StringIO(), lambda_logs=True)
    assert text.startswith(RECORD.replace("\r", "\n"))
    assert "REPORT RequestId: 8a5d\n" in text
