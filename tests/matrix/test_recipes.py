"""What the pages advise where an example alone does not do: it works, on both ways in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from layer import pythons
from tests.matrix import table
from tests.matrix.frameworks import FRAMEWORKS
from tests.matrix.function import WAYS, Function, Way
from tests.matrix.sockets import check_graphql, socket_client

PYTHON = pythons.find()[-1]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(600),  # pip may have to download the packages
]


@pytest.mark.parametrize("way", [way for way in WAYS if way.sockets], ids=lambda way: str(way.name))
async def test_strawberry_s_subscriptions(way: Way, opt: Path, tmp_path: Path) -> None:
    (strawberry,) = [each for each in FRAMEWORKS if each.name == "strawberry"]
    function = Function(strawberry, PYTHON, opt, tmp_path)
    page = (table.DOCS / strawberry.page).read_text()
    (code,) = re.findall(r"^```python\n(# subscriptions\.py\n.*?)^```", page, re.M | re.S)
    (function.root / "subscriptions.py").write_text(code)
    config = function.config(way, strawberry.mode)
    variables = {**config.environment, "ASGI_APP": "subscriptions:app"}
    config = replace(config, environment=variables)
    async with socket_client(config, tmp_path, early=not way.handler) as client:
        await check_graphql(client)
