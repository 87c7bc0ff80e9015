"""Datadog's libraries, with and without its extension; docs/observability.md is the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.observed import APPLICATION, under_awslambdaric, write
from tests.e2e.packages import USUAL, installed

pytestmark = pytest.mark.anyio


async def test_datadog_s_handler_wraps_lamella_s(opt: Path, tmp_path: Path) -> None:
    """Without Datadog's extension its traces go to the log, for its forwarder."""
    packages = installed(USUAL, "datadog", "datadog-lambda", "fastapi")
    write(tmp_path, {"main.py": APPLICATION})
    log = await under_awslambdaric(
        opt, tmp_path, packages, "datadog_lambda.handler.handler",
        DD_LAMBDA_HANDLER="lamella.handler", DD_TRACE_ENABLED="true", DD_FLUSH_TO_LOG="true",
    )  # fmt: skip
    assert re.search(r'\{"traces": ?\[\[.*"name": ?"aws\.lambda"', log), log
    assert re.search(r'"traces".*"name": ?"fastapi\.request"', log), "the application's own span"
