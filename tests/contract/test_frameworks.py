"""The frameworks' rows of the matrix over plain HTTP, on a web server and on `lamella run`."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tests.contract.frameworks import run
from tests.contract.judges import SERVE_EXAMPLE
from tests.e2e.packages import USUAL
from tests.matrix.frameworks import FRAMEWORKS
from tests.matrix.function import Function

ROWS = {each.name: each for each in FRAMEWORKS}

NAMES = ("fastapi", "django", "flask", "strawberry", "mcp")
"""One of each kind: with lifespan and without it, WSGI, GraphQL and MCP."""


@pytest.mark.timeout(600)  # the packages may have to be downloaded
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("judge", SERVE_EXAMPLE)
def test_a_framework_s_row(
    judge: str, name: str, opt: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tests.matrix")  # has the traceback of each check that fails
    function = Function(ROWS[name], USUAL, opt, tmp_path)
    with SERVE_EXAMPLE[judge](function) as url:
        results = asyncio.run(run(url, function.framework, streamed=True))
    assert results == dict.fromkeys(results, "")
    assert {"JSON", "error", "SSE", "background", "base path"} <= results.keys()
