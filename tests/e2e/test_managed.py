"""Managed instances: many requests at a time in one environment, on every Python."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import DEADLINE, MARGIN, StartJudge, StartLocal
from tests.events import url_event
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.anyio

ONE = {"ASGI_PROCESSES": "1"}


def event(path: str, query: str = "") -> Any:
    return url_event(path, query=query)


async def test_requests_run_at_a_time_and_answer_out_of_order(
    start: StartJudge, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in "abcd"]
    async with start("many:app", concurrency=4, timeout=30.0, **ONE) as judge:
        held = [asyncio.ensure_future(judge.invoke(event("/hold", str(file)))) for file in files]
        for file, last in zip(reversed(files), reversed(held), strict=True):
            assert not last.done()
            file.touch()
            assert (await last).result["statusCode"] == 200


async def test_a_deadline_ends_one_request_and_no_other(start_local: StartLocal) -> None:
    options, settings = {"concurrency": 2, **DEADLINE}, {**MARGIN, **ONE}
    async with start_local("many:app", options, ASGI_INVOKE_MODE="buffered", **settings) as judge:
        late, well = await asyncio.gather(
            judge.invoke(event("/wait", "60")), judge.invoke(event("/wait", "0.2"))
        )
        again = await judge.invoke(event("/wait", "0"))
    assert late.result["statusCode"] == 504
    assert well.content == again.content


async def test_a_thousand_requests_never_mix(start_local: StartLocal) -> None:
    options = {"concurrency": 16, "timeout": 30.0}
    room = asyncio.Semaphore(8)  # a slot that has answered takes a moment to ask again
    async with start_local("many:app", options, **ONE) as judge:

        async def ask(number: int) -> tuple[int, str, dict[str, Any]]:
            about = {"tenant_id": f"t-{number}", "trace_id": f"x-{number}"}
            async with room:
                asked = event("/whoami", str(number))
                opened = await judge.environment.open_in_slot(asked, PATIENCE, **about)
                assert opened is not None
                result = await opened.collect()
            return number, result.request_id, json.loads(json.loads(result.payload)["body"])

        answers = await asyncio.gather(*(ask(number) for number in range(1000)))
    for number, request_id, answer in answers:
        mine = [request_id, f"t-{number}", f"x-{number}"]
        assert answer["number"] == number
        assert answer["scoped"] == request_id
        assert answer["seen"] == [mine] * 3
    assert len({answer["pid"] for _, _, answer in answers}) == 1


async def test_streams_run_side_by_side(start_local: StartLocal) -> None:
    options = {"concurrency": 3}
    async with start_local("many:app", options, ASGI_INVOKE_MODE="response_stream", **ONE) as judge:
        results = await asyncio.gather(
            *(judge.environment.invoke(event("/ticks", letter)) for letter in "abc")
        )
    bodies = [result.payload.partition(b"\0" * 8)[2] for result in results]
    assert bodies == [b"".join(b"%s%d " % (c, n) for n in range(5)) for c in (b"a", b"b", b"c")]


async def test_the_slot_is_free_while_background_work_runs(start_local: StartLocal) -> None:
    async with start_local("many:app", {"concurrency": 1}, ASGI_PROCESSES="1") as judge:
        await judge.invoke(event("/later"))
        await judge.invoke(event("/release"))
        await until(lambda: '{"later": "done"}' in judge.log)


async def test_workers_share_the_slots_and_each_has_its_lifespan(start: StartJudge) -> None:
    async with start("many:app", concurrency=4, ASGI_PROCESSES="2") as judge:
        answers = await asyncio.gather(*(judge.invoke(event("/wait", "1.5")) for _ in range(4)))
    assert len({answer.content for answer in answers}) == 2


async def test_a_worker_that_dies_is_replaced(start_local: StartLocal) -> None:
    options = {"concurrency": 4, "timeout": 3.0}
    async with start_local("many:app", options, ASGI_PROCESSES="2") as judge:
        dying = asyncio.ensure_future(judge.environment.invoke(event("/die")))
        await until(lambda: judge.log.count("lifespan startup") == 3)
        assert "another takes its place" in judge.log
        # Lambda may still hand an event to a slot of the dead worker's: those are lost.
        lost, workers = 0, set[int]()
        while len(workers) < 2:  # the new one may need a moment more to ask for events
            answer = await judge.invoke(event("/wait", "0.01"))
            if answer.error_type:
                lost += 1
            else:
                workers.add(answer.content)
        assert lost <= 2
        await dying


async def test_shutdown_reaches_every_worker(start_local: StartLocal) -> None:
    async with start_local("many:app", {"concurrency": 4}, ASGI_PROCESSES="2") as judge:
        await judge.invoke(event("/wait", "0"))
    assert judge.log.count("lifespan startup") == judge.log.count("lifespan shutdown") == 2
    registered = judge.environment.traffic.matching("POST", "/extension/register")
    assert len(registered) == 1, "the parent registers for all"
