"""What `lamella run` writes: one line for each event, the function's own lines, and notes.

On a terminal with colour; in a pipe, or with NO_COLOR, as plain text (https://no-color.org).
"""

from __future__ import annotations

import os
import re
import sys
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from lamella.local.endpoints.event_line import EventLine

RECORD = re.compile(r"\[([A-Z]+)\]\t\S+Z\t\S*\t(.*)", re.DOTALL)
"""A record of the function's log as Lambda formats it: level, time, request id, message."""

LEVELS = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}
METHOD = "bold"
STATUSES = {2: "green", 3: "cyan", 4: "yellow", 5: "bold red"}


class Terminal:
    """Writes to `file`, standard output by default.

    `lambda_logs` keeps records as they are on CloudWatch, and writes Lambda's own lines, too.
    """

    def __init__(self, *, lambda_logs: bool = False, file: IO[str] | None = None) -> None:
        file = file or sys.stdout
        coloured = file.isatty() and not os.environ.get("NO_COLOR")
        self._console = Console(
            file=file,
            color_system="auto" if coloured else None,
            highlight=False,
            soft_wrap=True,
        )
        self._lambda_logs = lambda_logs

    def show(self, markup: str) -> None:
        """A line in rich's markup."""
        self._console.print(markup)

    def note(self, text: str) -> None:
        """A line about what `lamella run` does."""
        self.show(f"[cyan]{escape(text)}[/]")

    def written(self, line: str) -> None:
        """A line that the function wrote; records without what every line of a terminal has."""
        line = line.replace("\r", "\n")  # awslambdaric's line break in a record
        record = None if self._lambda_logs else RECORD.fullmatch(line)
        if record is None:
            self._console.file.write(f"{line}\n")  # untouched: rich would expand tabs
            self._console.file.flush()
        else:
            level, message = record.groups()
            self._console.print(Text.assemble((level, LEVELS.get(level, "")), f" {message}"))

    def lambda_line(self, line: str) -> None:
        """A line that Lambda itself writes, such as REPORT."""
        if self._lambda_logs:
            self.written(line)

    def event(self, event: EventLine) -> None:
        """One event that was served."""
        line = Text(str(event))
        line.stylize(METHOD, 0, len(event.method))
        if event.status:
            at = len(f"{event.method} {event.target} ")
            line.stylize(STATUSES.get(event.status // 100, ""), at, at + len(str(event.status)))
        self._console.print(line)
