"""Start a layer with the monitor in its process, and judge what the monitor saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from layer.pythons import Python
from tests.e2e.judges import LocalJudge, Outcome
from tests.events import url_event

FOLDER = Path(__file__).parent / "monitor"

FAULTS = ("compiled", "source read", "written", "compared with its source")


def faults(report: dict[str, Any]) -> dict[str, list[str]]:
    """What a start must not do, with the modules that made it do so; empty if all is well."""
    return {fault: report[fault] for fault in FAULTS if report[fault]}


async def start(opt: Path, python: Python, mode: str = "buffered") -> dict[str, Any]:
    """The monitor's report on the layer at `opt`, after a start and a whole first request."""
    variables = {
        "ASGI_APP": "monitored:app",
        "ASGI_INVOKE_MODE": mode,
        "PYTHONPATH": str(FOLDER),
        "WATCHED_FOLDER": f"{opt}/python",
    }
    async with LocalJudge(opt, python.path, FOLDER, variables) as judge:
        await judge.invoke(url_event("/"))
        outcome = await judge.invoke(url_event("/"))
    return report_of(outcome, mode)


def report_of(outcome: Outcome, mode: str) -> dict[str, Any]:
    """What the monitored application answered."""
    body = outcome.result["body"] if mode == "buffered" else outcome.streamed()[1]
    report: dict[str, Any] = json.loads(body)
    return report
