"""Every framework's example does what docs/frameworks says, through every way in.

On the newest Python found here; `make matrix` runs the others, too.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.e2e.packages import USUAL
from tests.matrix import table
from tests.matrix.frameworks import FRAMEWORKS, Framework
from tests.matrix.function import Function
from tests.matrix.run import EVERYWHERE, run

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(600),  # pip may have to download the packages
]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
async def test_it_does_what_the_table_says(
    framework: Framework, opt: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tests.matrix")  # pytest shows it where something else failed
    stored = table.load()["frameworks"][framework.name]
    if refused := stored["pythons"].get(USUAL.minor, {}).get("refused"):
        pytest.skip(f"{framework.title} {stored['version']} on {USUAL.minor}: {refused}")
    function = Function(framework, USUAL, opt, tmp_path)
    found = await run(function)
    assert found["failed"] == stored["failed"]
    assert found["other"] == stored["other"]
    assert found["ways"] == stored["ways"]
    assert function.written() == set(), "Lambda has these places read-only"


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
def test_what_fails_is_explained_and_what_is_explained_fails(framework: Framework) -> None:
    failed = table.load()["frameworks"][framework.name]["failed"]
    missing = {ability for ability in framework.lacks if ability not in framework.abilities}
    assert {**failed, **dict.fromkeys(missing, EVERYWHERE)} == dict.fromkeys(
        framework.lacks, EVERYWHERE
    )
