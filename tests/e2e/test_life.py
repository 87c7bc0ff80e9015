"""The life of an environment: deadlines, what is left behind, hooks, shutdown, traces."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.conftest import DEADLINE, GRACE, MARGIN, StartLocal
from tests.events import http_event, url_event
from tests.waiting import until

pytestmark = pytest.mark.anyio

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


async def test_a_stream_at_its_deadline_ends_in_error_trailers(start_local: StartLocal) -> None:
    settings = {"ASGI_INVOKE_MODE": "response_stream", **MARGIN}
    async with start_local(options=DEADLINE, **settings) as judge:
        result = await judge.environment.invoke(url_event("/endless"))
        again = await judge.invoke(url_event("/hello"))
    assert result.trailers["lambda-runtime-function-error-type"] == "Function.TimeoutError"
    assert b"ticktick" in result.payload
    assert "GET /endless: did not end before the deadline" in judge.log
    assert again.streamed()[0]["statusCode"] == 200


async def test_a_stubborn_application_is_answered_for_all_the_same(
    start_local: StartLocal,
) -> None:
    async with start_local(options=DEADLINE, **MARGIN) as judge:
        result = await judge.environment.invoke(url_event("/stubborn"))
        assert (await judge.invoke(url_event("/hello"))).result["statusCode"] == 200
    assert b'"statusCode":504' in result.payload
    assert "not so fast" in judge.log
    assert "GET /stubborn: still runs although it was cancelled" in judge.log
    assert "blocks the event loop" not in judge.log
    assert result.finished_at - result.response_at > 0.05, "it had time to clean up"


async def test_a_blocked_loop_is_reported_with_its_stack(start_local: StartLocal) -> None:
    async with start_local(options=DEADLINE, **MARGIN) as judge:
        result = await judge.environment.invoke(url_event("/block"))
        again = await judge.invoke(url_event("/hello"))
    assert result.status == "error"
    assert "GET /block blocks the event loop" in judge.log
    assert "time.sleep(60)" in judge.log
    assert result.request_id in judge.log.split("blocks the event loop")[0].splitlines()[-1]
    assert again.result["statusCode"] == 200, "Lambda starts another process"


async def test_what_is_left_behind_is_cancelled_by_name(start_local: StartLocal) -> None:
    async with start_local(ASGI_BACKGROUND_TIMEOUT="0.3") as judge:
        assert (await judge.invoke(url_event("/leak"))).content == "leaked"
        assert (await judge.invoke(url_event("/hello"))).result["statusCode"] == 200
    assert "GET /leak: cancelled the tasks that it left running" in judge.log
    assert "forgotten" in judge.log


async def test_hooks_run_after_the_answer_and_before_the_freeze(start_local: StartLocal) -> None:
    async with start_local("hooked:app") as judge:
        for _ in range(2):
            await judge.invoke(url_event("/hello"))
        log = judge.log
    for line in ("hook: async", "hook: sync", "hook: sentry", "broken failed"):
        assert log.count(line) == 2, line
    assert log.index("START") < log.index("hook: async") < log.index("hook: sync")
    assert log.index("hook: sentry") < log.index("REPORT")


async def test_flushing_can_be_turned_off(start_local: StartLocal) -> None:
    async with start_local("hooked:app", ASGI_FLUSH="off") as judge:
        await judge.invoke(url_event("/hello"))
        assert "hook: sync" in judge.log
        assert "hook: sentry" not in judge.log


async def test_log_records_in_a_queue_are_handled_before_the_freeze(
    start_local: StartLocal,
) -> None:
    async with start_local("queued:app", ASGI_BACKGROUND_TIMEOUT="2") as judge:
        for _ in range(2):
            await judge.invoke(url_event("/hello"))
    first, second, *_ = judge.log.split("REPORT")
    assert "handled /hello" in first
    assert "before_freeze: log_queues was cut off" in first, "nobody takes from the other queue"
    assert "handled /hello" in second
    assert "cut off" not in second, "waited for once"


async def test_a_running_request_is_cut_off_by_shutdown_and_named(
    start_local: StartLocal,
) -> None:
    async with start_local() as judge:
        await judge.invoke(url_event("/hello"))
        running = await judge.environment.open(url_event("/slow"))
        await until(lambda: "slow has begun" in judge.log)
        started = time.monotonic()
        await judge.environment.stop()
        took = time.monotonic() - started
        await running.finished()
    assert "GET /slow: cut off by the environment's shutdown" in judge.log
    assert "lifespan shutdown" in judge.log, "lifespan had its share of the time"
    assert took < GRACE


async def test_the_trace_is_in_the_environment_and_as_traceparent(
    start_local: StartLocal,
) -> None:
    async with start_local(ASGI_TRACEPARENT="on") as judge:
        traced = await judge.environment.invoke(http_event("/headers"), trace_id=TRACE)
        own = await judge.environment.invoke(http_event("/headers", traceparent="00-mine"))
    assert b"00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01" in traced.payload
    assert TRACE.encode() in traced.payload
    assert b"00-mine" in own.payload
    assert TRACE.encode() not in own.payload, "the variable goes with its invocation"


async def test_a_stream_that_fails_under_error_status_costs_nothing_more(
    start_local: StartLocal,
) -> None:
    settings = {"ASGI_ERROR_STATUS": "500-599", "ASGI_INVOKE_MODE": "response_stream"}
    async with start_local(options={"timeout": 20.0}, **settings) as judge:
        first = await judge.invoke(url_event("/hello"))
        failed = await judge.invoke(url_event("/crash_at_once"))
        started = time.monotonic()
        again = await judge.invoke(url_event("/hello"))
        took = time.monotonic() - started
    assert failed.error_type == "Function.Error"
    assert again.streamed()[0]["statusCode"] == first.streamed()[0]["statusCode"] == 200
    assert took < 10, "it waited for no deadline"
    assert len(judge.environment.traffic.matching("POST", "/response")) == 2


async def test_the_deadline_s_record_carries_the_id_of_its_request(
    start_local: StartLocal,
) -> None:
    settings = {"AWS_LAMBDA_LOG_FORMAT": "JSON", **MARGIN}
    async with start_local(options=DEADLINE, **settings) as judge:
        await judge.invoke(url_event("/hello"))
        result = await judge.environment.invoke(url_event("/slow"))
    records = [json.loads(line) for line in judge.environment.logs if line.startswith("{")]
    (record,) = [r for r in records if "did not end before the deadline" in r["message"]]
    assert record["requestId"] == result.request_id


async def test_an_exit_in_a_task_is_reported(start_local: StartLocal) -> None:
    async with start_local() as judge:
        outcome = await judge.invoke(url_event("/leave_in_a_task"))
        again = await judge.invoke(url_event("/hello"))
    assert outcome.error_type == "Runtime.ExitError"
    assert "SystemExit: 3" in outcome.result["errorMessage"]
    assert "lifespan shutdown" in judge.log
    assert again.result["statusCode"] == 200


async def test_a_thread_that_runs_on_does_not_hold_up_the_end(start_local: StartLocal) -> None:
    async with start_local() as judge:
        await judge.invoke(url_event("/with_thread"))
        started = time.monotonic()
        await judge.environment.stop()
        took = time.monotonic() - started
    assert "lifespan shutdown" in judge.log
    assert took < GRACE, "it ended by itself, before the SIGKILL"
