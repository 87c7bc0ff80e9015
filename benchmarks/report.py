"""What a run leaves behind: a line about the machine, the table, and the page's results."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import BenchmarkError
from benchmarks.figures import Row, table


class Report(NamedTuple):
    """One interpreter's figures, with where and when they were taken."""

    python: str
    versions: dict[str, str]
    rows: list[Row]
    prepared: list[Row]
    date: str
    machine: dict[str, Any]

    def text(self) -> str:
        """The machine's line and the table, as Markdown."""
        machine = self.machine
        load = ", ".join(f"{value:.2f}" for value in machine["load"])
        others = ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))
        parts = (
            f"Python {self.python}, {others}",
            f"{machine['cpu']}, one of {machine['cores']} cores, Linux {machine['kernel']}",
            f"load {load} before the run",
            self.date,
        )
        tables = [table(rows) for rows in (self.rows, self.prepared) if rows]
        return "\n\n".join(["; ".join(parts), *tables]) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Everything, raw figures included."""
        rows, prepared = ([row.as_json() for row in each] for each in (self.rows, self.prepared))
        return {**self._asdict(), "rows": rows, "prepared": prepared}


def machine() -> dict[str, Any]:
    """The machine and how busy it is: other load makes figures higher, ratios hardly."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load": os.getloadavg(),
    }


def today() -> str:
    """The date, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def replace_results(path: Path, text: str, name: str = "results") -> None:
    """Put `text` between the page's two markers of that name.

    Raises `BenchmarkError` without them.
    """
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = path.read_text()
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise BenchmarkError(f"{path} lacks the lines {first} and {last}: add them where to write.")
    path.write_text(f"{before}{first}\n\n{text}\n{last}{after}")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
