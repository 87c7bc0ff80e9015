"""Log records through a real process: none is lost, whatever an application does to logging."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from layer.pythons import Python
from tests.e2e.conftest import FUNCTION, StartLocal
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import installed
from tests.events import url_event
from tests.waiting import until

pytestmark = pytest.mark.anyio

CONFIGURATIONS = ["dict", "dict without root", "file"]
STREAMED = {"ASGI_INVOKE_MODE": "response_stream"}


@pytest.mark.parametrize("configured", CONFIGURATIONS)
async def test_configuring_logging_silences_no_record_of_lamella_s(
    start_local: StartLocal, configured: str
) -> None:
    async with start_local("logged:app", CONFIGURED=configured) as judge:
        assert (await judge.invoke(url_event("/boom"))).result["statusCode"] == 500
        assert (await judge.invoke(url_event("/too-large"))).result["statusCode"] == 500
        malformed = url_event("/boom") | {"isBase64Encoded": True, "body": "%"}
        assert (await judge.invoke(malformed)).result["statusCode"] == 400
    assert "GET /boom: RuntimeError: the reason" in judge.log
    assert "Traceback (most recent call last)" in judge.log
    assert "The response is at least 7" in judge.log
    assert "Malformed event" in judge.log


@pytest.mark.parametrize("configured", ["filter", "handler", "only handler", "factory"])
@pytest.mark.parametrize("settings", [{}, STREAMED], ids=["buffered", "streamed"])
async def test_what_an_application_hangs_into_logging_may_fail(
    start_local: StartLocal, configured: str, settings: dict[str, str]
) -> None:
    async with start_local("logged:app", CONFIGURED=configured, **settings) as judge:
        assert b'"statusCode":500' in (await judge.invoke(url_event("/boom"))).payload
        assert b'"statusCode":200' in (await judge.invoke(url_event("/ok"))).payload
    assert "RuntimeError: the reason" in judge.log
    assert "in boom" in judge.log
    assert "logging could not take this record" in judge.log, "the problem is on stderr"
    assert judge.log.count("INIT_START") == 1


async def test_json_records_hold_all_of_an_exception(start_local: StartLocal) -> None:
    async with start_local("logged:app", AWS_LAMBDA_LOG_FORMAT="JSON") as judge:
        for route in ("/chained", "/group", "/noted"):
            result = await judge.environment.invoke(url_event(route))
            (record,) = [r for r in json_records(judge) if r["requestId"] == result.request_id]
            assert "db-host-A1" in record["exception"]
            assert record["exception"].startswith(("Traceback", "  + Exception Group Traceback"))
            assert record["errorType"] in ("RuntimeError", "ExceptionGroup")


async def test_no_extra_loses_a_json_record(start_local: StartLocal) -> None:
    async with start_local("logged:app", AWS_LAMBDA_LOG_FORMAT="JSON") as judge:
        await judge.invoke(url_event("/extra"))
    (record,) = [r for r in json_records(judge) if r["message"] == "odd extra"]
    assert record["7"] == "seven"
    assert record["(1, 2)"] == "pair"
    assert record["nan"] == "nan"
    assert "ValueError" in record["odd"]


def json_records(judge: LocalJudge) -> list[dict[str, Any]]:
    """The JSON records of the log; no line that begins as one may be none."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    lines = [line for line in judge.environment.logs if line.startswith("{")]
    return [json.loads(line, parse_constant=refuse) for line in lines]


@pytest.mark.parametrize("concurrency", [None, 4])
async def test_what_is_printed_without_a_line_break_is_in_the_log_of_its_request(
    start_local: StartLocal, tmp_path: Path, concurrency: int | None
) -> None:
    wrapper = {"ASGI_EXEC_WRAPPER": str(FUNCTION / "printing.sh"), "PRINTED": f"{tmp_path}/log"}
    options = {"concurrency": concurrency}
    async with start_local("logged:app", options, ASGI_PROCESSES="1", **wrapper) as judge:
        await judge.invoke(url_event("/print"))
        await judge.invoke(url_event("/write"))
        if concurrency is not None:  # there the next event may come before the end of this one
            await until(lambda: bool((tmp_path / "log.err").read_text()))
        # The runtime has asked for the next event, so from here on it may be frozen.
        assert (tmp_path / "log.out").read_text() == "no newline"
        assert (tmp_path / "log.err").read_text() == "no newline"


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
async def test_large_records_of_two_workers_do_not_mix(
    start_local: StartLocal, log_format: str
) -> None:
    settings = {"ASGI_PROCESSES": "2", "AWS_LAMBDA_LOG_FORMAT": log_format}
    async with start_local("logged:app", {"concurrency": 2}, **settings) as judge:
        await asyncio.gather(*(judge.invoke(url_event("/large")) for _ in range(2)))
    lines = [line for line in judge.environment.logs if "xxx" in line]
    assert len(lines) == 80
    assert all(line.count("x" * 30_000) == 1 and len(line) < 30_500 for line in lines)


FRAMEWORK = """
from fastapi import BackgroundTasks, FastAPI
app = FastAPI()

def look_up(item):
    raise KeyError(item)

@app.get("/items/{item}")
def read(item: str):
    return look_up(item)

@app.get("/later")
def later(tasks: BackgroundTasks):
    tasks.add_task(look_up, "afterwards")
    return "ok"
"""


@pytest.mark.parametrize("settings", [{}, STREAMED], ids=["buffered", "streamed"])
async def test_a_framework_s_500_is_logged_as_the_application_s_error(
    opt: Path, python: Python, tmp_path: Path, settings: dict[str, str]
) -> None:
    packages = installed(python, "fastapi-alone", "fastapi")
    (tmp_path / "shop.py").write_text(FRAMEWORK)
    environ = {"ASGI_APP": "shop:app", "PYTHONPATH": str(packages), **settings}
    async with LocalJudge(opt, python.path, tmp_path, environ, timeout=30.0) as judge:
        assert b'"statusCode":500' in (await judge.invoke(url_event("/items/4711"))).payload
        error = judge.log
        assert b'"statusCode":200' in (await judge.invoke(url_event("/later"))).payload
        background = judge.log[len(error) :]
    assert "\tGET /items/4711: KeyError: '4711'" in error
    assert "after the response was sent" not in error
    assert error.count("Traceback") == 1
    assert "frames of lamella, fastapi, starlette, anyio" in error
    assert error.index("in read") < error.index("in look_up")
    frames = [line for line in error.splitlines() if line.startswith("  File")]
    assert len(frames) == 2, "the application's own"
    assert "GET /later: error after the response was sent." in background


FAILING = """
async def app(scope, receive, send):
    await receive()
    raise RuntimeError("no database")
"""


@pytest.mark.parametrize("code", [FAILING, "import nowhere_at_all"])
async def test_a_start_that_fails_has_one_traceback(
    opt: Path, tmp_path: Path, python: Python, code: str
) -> None:
    (tmp_path / "main.py").write_text(code)
    environ = {"ASGI_LIFESPAN": "on"}
    async with LocalJudge(opt, python.path, tmp_path, environ) as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type in ("Runtime.LifespanStartupFailed", "Runtime.ImportModuleError")
    assert judge.log.count("Traceback (most recent call last)") == 1
