"""Powertools' Logger, Metrics and Tracer inside an application, as examples/powertools shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.judges import LocalJudge
from tests.e2e.packages import USUAL, installed
from tests.events import url_event

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).parents[2] / "examples" / "powertools"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


async def test_logs_metrics_and_traces(opt: Path, tmp_path: Path) -> None:
    python = USUAL
    packages = installed(python, "powertools", "aws-lambda-powertools[tracer]", "fastapi")
    for entry in [*packages.iterdir(), EXAMPLE / "main.py"]:
        (tmp_path / entry.name).symlink_to(entry)
    environ = {"ASGI_APP": "main:app", "POWERTOOLS_LOG_LEVEL": "INFO"}
    async with LocalJudge(opt, python.path, tmp_path, environ, timeout=20.0) as judge:
        first = await judge.environment.invoke(url_event("/items/apple"), trace_id=TRACE)
        second = await judge.environment.invoke(url_event("/items/fig"), trace_id=TRACE)
        log = judge.log
    records = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    logged = [record for record in records if record.get("message") == "priced"]
    metrics = [record for record in records if "_aws" in record]
    assert [record["item"] for record in logged] == ["apple", "fig"]
    ids = [record["function_request_id"] for record in logged]
    assert ids == [first.request_id, second.request_id]
    assert all(record["xray_trace_id"] == TRACE.split(";")[0][5:] for record in logged)
    assert [record["ItemPriced"] for record in metrics] == [[1.0], [1.0]]
    assert _body(first.payload) == {"price": 500}


def _body(payload: bytes) -> Any:
    return json.loads(json.loads(payload)["body"])
