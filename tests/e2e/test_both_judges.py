"""What holds under AWS's emulator as under ours, on every Python of this machine."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.e2e.conftest import StartJudge
from tests.events import SQS_EVENT, alb_event, http_event, rest_event, url_event

pytestmark = pytest.mark.anyio


async def test_every_event_source_gets_its_answer_from_one_environment(start: StartJudge) -> None:
    async with start() as judge:
        url = await judge.invoke(url_event("/hello", query="a=1"))
        http = await judge.invoke(http_event("/hello"))
        rest = await judge.invoke(rest_event("/hello"))
        alb = await judge.invoke(alb_event("/hello"))
        missing = await judge.invoke(url_event("/nowhere"))
    assert url.result["cookies"] == http.result["cookies"] == ["a=1", "b=2"]
    assert rest.result["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]
    assert alb.result["statusDescription"] == "200 OK"
    assert [url.content["query"], url.content["path"]] == ["a=1", "/hello"]
    assert rest.content["path"] == "/prod/hello"
    assert missing.result["statusCode"] == 404
    contents = [outcome.content for outcome in (url, http, rest, alb)]
    assert {content["started"] for content in contents} == {1}, "lifespan ran once"
    assert len({content["pid"] for content in contents}) == 1
    assert len({content["request_id"] for content in contents}) == 4


async def test_events_that_are_not_http(start: StartJudge) -> None:
    async with start() as judge:
        assert (await judge.invoke(SQS_EVENT)).result == {"got": SQS_EVENT}
        assert (await judge.invoke({"fail": True})).error_type == "Function.Error"
        assert (await judge.invoke({})).result == {"got": {}}


async def test_json_goes_both_ways_as_it_is_written(start: StartJudge) -> None:
    event = b'{"mirror": true, "amount": 2.2999999999999998, "x": 1e400, "x": 1E+2, "s": "\\ud800"}'
    async with start() as judge:
        assert (await judge.invoke(event)).payload == event
        scheduled = {"source": "aws.scheduler", "detail-type": "Scheduled Event"}
        assert (await judge.invoke(scheduled)).result == {"source": "scheduler"}


@pytest.mark.parametrize("size", [1, 4_000_000], ids=["1B", "4MB"])
async def test_large_bodies_both_ways(start: StartJudge, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"\xff"
    event = url_event("/echo", method="POST") | {
        "body": base64.b64encode(data).decode(),
        "isBase64Encoded": True,
    }
    async with start() as judge:
        result = (await judge.invoke(event)).result
    assert result["isBase64Encoded"]
    assert base64.b64decode(result["body"]) == data


async def test_a_stream_is_a_prelude_and_bytes(start: StartJudge) -> None:
    async with start(ASGI_INVOKE_MODE="response_stream") as judge:
        prelude, body = (await judge.invoke(url_event("/ticks"))).streamed()
        empty, nothing = (await judge.invoke(url_event("/nothing"))).streamed()
        rest, _ = (await judge.invoke(rest_event("/hello"))).streamed()
        buffered = await judge.invoke(http_event("/hello"))
    assert prelude["statusCode"] == 200
    assert prelude["headers"] == {"content-type": "text/event-stream"}
    assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert (empty["statusCode"], empty["headers"], nothing) == (204, {}, b"")
    assert rest["multiValueHeaders"]["set-cookie"] == ["a=1", "b=2"]
    assert buffered.result["statusCode"] == 200, "an HTTP API cannot take a stream"


async def test_work_after_the_answer_is_done_before_the_next_request(start: StartJudge) -> None:
    async with start() as judge:
        assert (await judge.invoke(url_event("/job"))).result["statusCode"] == 202
        assert (await judge.invoke(url_event("/results"))).content == ["background", "task"]


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_bad_requests_and_errors_leave_the_environment_whole(
    start: StartJudge, mode: str
) -> None:
    malformed = url_event("/echo", method="POST") | {"body": "@@@@", "isBase64Encoded": True}
    async with start(ASGI_INVOKE_MODE=mode) as judge:
        first = await judge.invoke(http_event("/hello"))
        crashed = await judge.invoke(http_event("/crash"))
        await judge.invoke(url_event("/crash_late"))
        await judge.invoke(malformed)
        assert (await judge.invoke(http_event("/x") | {"rawPath": 5})).result["statusCode"] == 400
        last = await judge.invoke(http_event("/hello"))
    assert crashed.result["statusCode"] == 500
    assert "secret" not in crashed.payload.decode()
    assert first.content["pid"] == last.content["pid"]


async def test_the_deadline_is_a_504_and_the_environment_lives_on(start: StartJudge) -> None:
    async with start(ASGI_DEADLINE_MARGIN_MS="5000") as judge:
        first = await judge.invoke(url_event("/hello"))
        assert (await judge.invoke(url_event("/slow"))).result["statusCode"] == 504
        assert (await judge.invoke(url_event("/hello"))).content["pid"] == first.content["pid"]


async def test_a_response_over_the_limit_says_what_to_do(start: StartJudge) -> None:
    async with start() as judge:
        result = (await judge.invoke(url_event("/large"))).result
        assert result["statusCode"] == 500
        assert result["body"] == "The response is too large to be delivered."
        assert (await judge.invoke(url_event("/hello"))).result["statusCode"] == 200


async def test_an_exit_is_reported_and_the_next_request_gets_a_new_process(
    start: StartJudge,
) -> None:
    async with start() as judge:
        first = await judge.invoke(url_event("/hello"))
        assert (await judge.invoke(url_event("/leave"))).error_type == "Runtime.ExitError"
        again = await judge.invoke(url_event("/hello"))
    assert again.content["pid"] != first.content["pid"]


INIT_ERRORS: list[Any] = [
    pytest.param({"app": "nowhere:app"}, "ImportModuleError", "no module 'nowhere'", id="module"),
    pytest.param({"app": "bare:missing"}, "HandlerNotFound", "no attribute 'missing'", id="name"),
    pytest.param(
        {"app": "broken_import:app"}, "ImportModuleError", "No module named 'not_installed'",
        id="user-import",
    ),
    pytest.param({"app": ""}, "ImportModuleError", "ASGI_APP and AWS_LAMBDA_PYTHON_", id="unset"),
    pytest.param(
        {"app": "bare:fails_to_start"}, "LifespanStartupFailed", "no database", id="startup"
    ),
    pytest.param(
        {"app": "bare:never_starts", "ASGI_LIFESPAN_TIMEOUT": "0.5"},
        "LifespanStartupTimeout", "ASGI_LIFESPAN_TIMEOUT", id="startup-timeout",
    ),
    pytest.param(
        {"ASGI_LIFESPAN": "sometimes"}, "InvalidSetting",
        "ASGI_LIFESPAN='sometimes' is not allowed: use auto or on or off", id="setting",
    ),
    pytest.param({"ASGI_LOOP": "uvloop"}, "InvalidSetting", "carry", id="no-uvloop"),
]  # fmt: skip


@pytest.mark.parametrize(("environ", "error_type", "message"), INIT_ERRORS)
async def test_an_init_error_says_what_to_change(
    start: StartJudge, environ: dict[str, str], error_type: str, message: str
) -> None:
    async with start(**environ) as judge:
        outcome = await judge.invoke(url_event("/hello"))
    assert outcome.error_type == f"Runtime.{error_type}"
    assert message in json.loads(outcome.payload)["errorMessage"]
