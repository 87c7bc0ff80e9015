"""`ASGI_WARMUP`: the application has answered before the first invocation, on every way in."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.e2e.conftest import StartJudge, StartLocal
from tests.events import url_event
from tests.waiting import until

pytestmark = pytest.mark.anyio

TWO = "/health, https://example.com/items/1?page=2"
WARMED = ["startup", *("warm-up /health", "warm-up /items/1") * 3]


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_after_startup_and_before_the_first_event(start: StartJudge, mode: str) -> None:
    async with start("warmed:app", ASGI_WARMUP=TWO, ASGI_INVOKE_MODE=mode) as judge:
        outcome = await judge.invoke(url_event("/first"))
    seen = outcome.content if mode == "buffered" else json.loads(outcome.streamed()[1])
    assert seen["seen"] == [*WARMED, "request /first"]


async def test_in_each_process_of_a_managed_instance(start_local: StartLocal) -> None:
    options = {"concurrency": 2}
    settings = {"ASGI_WARMUP": TWO, "ASGI_PROCESSES": "2"}
    seen: dict[int, list[str]] = {}
    async with start_local("warmed:app", options, **settings) as judge:
        async with asyncio.timeout(30):
            while len(seen) < 2:
                events = [judge.invoke(url_event("/first")) for _ in range(2)]
                for outcome in await asyncio.gather(*events):
                    seen.setdefault(outcome.content["pid"], outcome.content["seen"])
    assert all(steps[:7] == WARMED for steps in seen.values())


async def test_a_failure_is_a_warning_with_its_status(start_local: StartLocal) -> None:
    async with start_local("warmed:app", ASGI_WARMUP="/missing,/health") as judge:
        outcome = await judge.invoke(url_event("/first"))
    assert outcome.content["seen"][-2:] == ["warm-up /health", "request /first"]
    assert "ASGI_WARMUP: GET /missing was answered with 503. Name what is" in judge.log


@pytest.mark.parametrize(
    ("path", "error_type", "words"),
    [
        ("/missing", "Runtime.WarmupFailed", "GET /missing was answered with 503."),
        ("/leave", "Runtime.ExitError", "ended the environment in the warm-up: SystemExit: 3"),
    ],
)
async def test_a_failure_can_fail_the_init(
    start_local: StartLocal, path: str, error_type: str, words: str
) -> None:
    settings = {"ASGI_WARMUP": path, "ASGI_WARMUP_FAILURES": "error"}
    async with start_local("warmed:app", **settings) as judge:
        await until(lambda: judge.environment.init_error is not None)
    failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == error_type
    assert words in failure.message


async def test_before_the_snapshot(start_local: StartLocal) -> None:
    options = {"snap_start": True}
    async with start_local(
        "warmed:app", options, ASGI_WARMUP="/health", ASGI_SNAPSTART_LIFESPAN="before"
    ) as judge:
        outcome = await judge.invoke(url_event("/first"))
        (restore,) = judge.environment.traffic.matching("GET", "/restore/next")
    assert outcome.content["seen"] == ["startup", *["warm-up /health"] * 3, "request /first"]
    assert restore.status == 200


async def test_before_the_snapshot_and_a_startup_after_it(start_local: StartLocal) -> None:
    options = {"snap_start": True}
    async with start_local("warmed:app", options, ASGI_WARMUP="/health") as judge:
        outcome = await judge.invoke(url_event("/first"))
    assert outcome.content["seen"] == ["warm-up /health", "startup", "request /first"]
    assert "was answered with 503" in judge.log
    assert "ASGI_SNAPSTART_LIFESPAN=before runs it before the snapshot" in judge.log
