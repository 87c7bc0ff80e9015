"""The frameworks' rows of the matrix over plain HTTP: on a web server, and behind every front door
of `lamella run`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from lamella.local.run.command import NAMES
from tests.contract.examples import Place, doors, lamella_run, own_server
from tests.contract.frameworks import HttpClient, run
from tests.e2e.packages import USUAL
from tests.matrix.frameworks import FRAMEWORKS, Framework
from tests.matrix.function import Function

LOST = {"sanic": {("Lattice", "redirect"), ("LatticeV1", "redirect")}}
"""Sanic takes the scheme from x-forwarded-proto alone, which VPC Lattice does not send."""


@pytest.mark.anyio
@pytest.mark.timeout(600)  # the packages may have to be downloaded
@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
async def test_a_framework_s_row(
    framework: Framework, opt: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tests.matrix")  # has the traceback of each check that fails
    function = Function(framework, USUAL, opt, tmp_path)
    results: dict[tuple[str, str], str] = {}

    async def one_after_another(places: Sequence[Place]) -> None:
        for place in places:
            client = HttpClient(place.url, streamed=place.streamed, origin=place.origin)
            row = await run(client, framework)
            assert {"JSON", "error", "SSE", "background", "base path"} <= row.keys()
            results.update({(place.name, ability): why for ability, why in row.items()})

    with own_server(function) as server, lamella_run(function) as places:
        # Three processes, each of which counts what it was asked for.
        streamed = [place for place in places if place.streamed]
        buffered = [place for place in places if not place.streamed]
        await asyncio.gather(*map(one_after_another, ([server], streamed, buffered)))
    failed = {where: why for where, why in results.items() if why}
    assert failed.keys() == LOST.get(framework.name, set()), failed
    assert {place for place, _ in results} == {server.name, *doors()}


def test_every_http_front_door_of_lamella_run_is_in_the_template() -> None:
    assert {*doors().values(), "websocket"} == set(NAMES)
