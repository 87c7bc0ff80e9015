"""The frameworks' rows of the matrix over plain HTTP, on a web server and on `lamella run`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.contract.frameworks import LOCAL, NAMES, run
from tests.e2e.packages import USUAL
from tests.matrix.frameworks import FRAMEWORKS, Framework
from tests.matrix.function import Function


@pytest.mark.timeout(600)  # pip may have to download the packages
@pytest.mark.parametrize(
    "framework", [each for each in FRAMEWORKS if each.name in NAMES], ids=lambda each: each.name
)
@pytest.mark.parametrize("judge", LOCAL)
def test_a_framework_s_row(judge: str, framework: Framework, opt: Path, tmp_path: Path) -> None:
    function = Function(framework, USUAL, opt, tmp_path)
    with LOCAL[judge](function) as url:
        results = asyncio.run(run(url, framework, streamed=True))
    assert results == dict.fromkeys(results, "")
    assert {"JSON", "upload", "stream", "background"} <= results.keys()
