"""The bootstrap way in full, under the local Lambda: timing, streams, shutdown, isolation."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from lamella.local.execution.environment import EnvironmentState
from layer.pythons import Python
from tests.e2e.conftest import FUNCTION, GRACE, StartLocal
from tests.e2e.judges import LocalJudge
from tests.events import http_event, rest_event, url_event

pytestmark = pytest.mark.anyio


async def test_the_answer_leaves_when_it_is_complete(
    start_local: StartLocal, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with start_local() as judge:
        answer = await judge.environment.open(url_event("/held", query=str(go)))
        assert b"accepted" in b"".join([piece async for piece in answer])
        assert judge.environment.state is EnvironmentState.BUSY, "the work goes on"
        go.touch()
        await answer.finished()
    assert answer.finished_at > answer.response_at


async def test_E30_a_stream_arrives_part_by_part(start_local: StartLocal, tmp_path: Path) -> None:
    """The application sends each part when the one before has arrived."""
    arrived: list[bytes] = []
    async with start_local(ASGI_INVOKE_MODE="response_stream") as judge:
        answer = await judge.environment.open(url_event("/confirmed", query=str(tmp_path)))
        async for data in answer:
            assert not answer.ended
            (tmp_path / f"{len(arrived)}").touch()
            arrived.append(data.rpartition(bytes(8))[2])
        await answer.finished()
    (post,) = judge.environment.traffic.matching("POST", "/response")
    assert arrived == [b"data: %d\n\n" % number for number in range(3)]
    assert post.header("lambda-runtime-function-response-mode") == "streaming"
    assert post.header("content-type") == "application/vnd.awslambda.http-integration-response"
    assert post.header("transfer-encoding") == "chunked"


async def test_garbage_is_collected_again_after_the_import(start_local: StartLocal) -> None:
    async with start_local(ASGI_APP="collecting:app") as judge:
        content = (await judge.invoke(url_event("/"))).content
    assert content == {"in import": 0, "collects": True, "keeps": True}


async def test_prelude_and_first_bytes_are_one_chunk(start_local: StartLocal) -> None:
    async with start_local(ASGI_INVOKE_MODE="response_stream") as judge:
        await judge.environment.invoke(url_event("/hello"))
    (post,) = judge.environment.traffic.matching("POST", "/response")
    assert len(post.chunks) == 1


async def test_an_empty_first_part_loses_nothing(start_local: StartLocal) -> None:
    async with start_local(ASGI_INVOKE_MODE="response_stream") as judge:
        prelude, body = (await judge.invoke(url_event("/empty_first"))).streamed()
    assert (prelude["statusCode"], body) == (200, b"hello")


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_context_variables_end_with_their_invocation(
    start_local: StartLocal, mode: str
) -> None:
    async with start_local(ASGI_INVOKE_MODE=mode) as judge:
        answers = [(await judge.invoke(url_event("/context"))).payload for _ in range(3)]
    assert all(answer.count(b"nobody") == 1 for answer in answers)


async def test_a_send_that_is_given_up_breaks_no_other(start_local: StartLocal) -> None:
    options = {"freeze": False, "timeout": 20.0}
    async with start_local(options=options, ASGI_INVOKE_MODE="response_stream") as judge:
        answer = await judge.environment.open(url_event("/hurried"))
        await asyncio.sleep(0.5)  # nobody reads: the socket fills, and sends wait
        last = b""
        async for data in answer:
            last = (last + data)[-64:]
    assert int(last.rpartition(b"cancelled ")[2]) > 0
    assert "ERROR" not in judge.log


async def test_an_error_inside_a_stream_goes_into_the_trailers(start_local: StartLocal) -> None:
    async with start_local(ASGI_INVOKE_MODE="response_stream") as judge:
        result = await judge.environment.invoke(url_event("/crash_late"))
        again = await judge.invoke(url_event("/hello"))
    assert result.payload.endswith(b"\0first")
    assert result.trailers["lambda-runtime-function-error-type"] == "Function.RuntimeError"
    assert result.error is not None
    assert "secret" not in json.dumps(result.error), "what reaches a client tells no secrets"
    assert "a secret of the application" in judge.log, "the log tells everything"
    assert again.streamed()[0]["statusCode"] == 200


async def test_an_error_before_the_first_byte_is_an_ordinary_500(start_local: StartLocal) -> None:
    async with start_local(ASGI_INVOKE_MODE="response_stream") as judge:
        prelude, body = (await judge.invoke(url_event("/crash"))).streamed()
    assert (prelude["statusCode"], body) == (500, b"Internal Server Error")


async def test_only_the_chosen_sources_are_streamed(start_local: StartLocal) -> None:
    settings = {"ASGI_INVOKE_MODE": "response_stream", "ASGI_STREAM_SOURCES": "url"}
    async with start_local(**settings) as judge:
        assert (await judge.environment.invoke(url_event("/hello"))).streamed
        assert not (await judge.environment.invoke(rest_event("/hello"))).streamed
        assert not (await judge.environment.invoke(http_event("/hello"))).streamed


async def test_E30_a_slow_reader_of_100_MiB_costs_no_memory(start_local: StartLocal) -> None:
    options = {"timeout": 60.0, "freeze": False}
    async with start_local(options=options, ASGI_INVOKE_MODE="response_stream") as judge:
        await judge.invoke(url_event("/hello"))
        pid = judge.environment.pid
        assert pid is not None
        before = _resident_mb(pid)
        answer = await judge.environment.open(url_event("/flood"))
        received, highest = 0, before
        async for data in answer:
            if received < 2_000_000:  # read slowly for a while: the application is held up
                await asyncio.sleep(0.02)
                highest = max(highest, _resident_mb(pid))
            received += len(data)
        highest = max(highest, _peak_mb(pid))
        await answer.finished()
    assert received > 100 * 1024 * 1024
    assert highest - before < 8, f"{before} MB grew to {highest} MB"


def _resident_mb(pid: int) -> float:
    return _status(pid, "VmRSS")


def _peak_mb(pid: int) -> float:
    return _status(pid, "VmHWM")


def _status(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


async def test_shutdown_runs_on_SIGTERM(start_local: StartLocal) -> None:
    async with start_local() as judge:
        await judge.invoke(url_event("/hello"))
        (registered,) = judge.environment.traffic.matching("POST", "/extension/register")
        pid = judge.environment.pid
        started = time.monotonic()
        await judge.environment.stop()
        took = time.monotonic() - started
    assert registered.header("lambda-extension-name") == "lamella"
    assert judge.log.count("lifespan startup") == judge.log.count("lifespan shutdown") == 1
    assert took < GRACE, "it ended by itself, before the SIGKILL"
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_no_extension_where_nothing_is_to_be_shut_down(start_local: StartLocal) -> None:
    async with start_local(ASGI_LIFESPAN="off") as judge:
        await judge.invoke(url_event("/nowhere"))
    assert judge.environment.traffic.matching("POST", "/extension/register") == []


async def test_an_init_error_is_posted_once_and_ends_the_process(start_local: StartLocal) -> None:
    async with start_local("broken_import:app") as judge:
        failure = judge.environment.init_error
    (post,) = judge.environment.traffic.matching("POST", "/init/error")
    assert failure is not None
    assert failure.exit_code == 1
    assert post.header("lambda-runtime-function-error-type") == "Runtime.ImportModuleError"
    assert any("broken_import.py" in line for line in failure.error["stackTrace"])
    assert not any("<frozen importlib" in line for line in failure.error["stackTrace"])
    assert "No module named 'not_installed'" in judge.log


async def test_an_exit_in_lifespan_startup_is_an_init_error(start_local: StartLocal) -> None:
    async with start_local("bare:exits_at_start") as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "Runtime.LifespanStartupFailed"
    assert "SystemExit: 3" in failure.message


async def test_a_failed_init_ends_whatever_threads_run(
    opt: Path, python: Python, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "import not_there\n"
    )
    async with LocalJudge(opt, python.path, tmp_path, {"ASGI_APP": "main:app"}) as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.exit_code == 1


async def test_lamella_comes_from_the_layer_and_nothing_is_compiled(
    start_local: StartLocal, opt: Path
) -> None:
    files = sorted(path for path in opt.rglob("*") if path.is_file())
    before = {path: path.stat().st_mtime_ns for path in files}
    async with start_local(PYTHONDONTWRITEBYTECODE="") as judge:
        content = (await judge.invoke(url_event("/modules"))).content
    assert content["files"]
    assert all(name.startswith(f"{opt}/python/lamella/") for name in content["files"])
    assert all(Path(name).exists() for name in content["cached"] if name)
    after = sorted(path for path in opt.rglob("*") if path.is_file())
    assert {path: path.stat().st_mtime_ns for path in after} == before


async def test_the_process_sees_lambdas_path_and_environment(
    start_local: StartLocal, opt: Path, python: Python
) -> None:
    async with start_local(MINE="1") as judge:
        content = (await judge.invoke(url_event("/modules"))).content
    assert content["path"][0] == str(FUNCTION)
    assert content["path"].index(f"{opt}/python") < len(content["path"])
    environ = content["environ"]
    assert environ["MINE"] == "1"
    assert environ["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python{python.minor}"
    assert environ["AWS_LAMBDA_EXEC_WRAPPER"] == f"{opt}/bootstrap"


async def test_a_function_s_own_modules_win_over_the_layer_s(
    opt: Path, python: Python, tmp_path: Path
) -> None:
    for name in ("awslambdaric", "simplejson", "h11", "lamella"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "main.py").write_text(
        "import awslambdaric, simplejson, h11\n"
        "async def app(scope, receive, send):\n"
        "    mine = [m.MINE for m in (awslambdaric, simplejson, h11)]\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body', 'body': repr(mine).encode()})\n"
    )
    async with LocalJudge(opt, python.path, tmp_path, {"ASGI_APP": "main:app"}) as judge:
        outcome = await judge.invoke(url_event("/"))
    assert outcome.result["body"] == "[True, True, True]"


async def test_log_records_carry_the_request_id(start_local: StartLocal) -> None:
    async with start_local(AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO") as judge:
        result = await judge.environment.invoke(url_event("/crash"))
    records = [json.loads(line) for line in judge.environment.logs if line.startswith("{")]
    error = next(record for record in records if record["level"] == "ERROR")
    access = next(record for record in records if record["logger"] == "lamella.access")
    assert error["requestId"] == access["requestId"] == result.request_id
    assert error["errorType"] == "RuntimeError"
    assert error["errorMessage"] == "a secret of the application"
    assert access["message"].startswith("GET /crash 500 ")


async def test_the_access_record_can_be_turned_off(start_local: StartLocal) -> None:
    async with start_local(AWS_LAMBDA_LOG_LEVEL="INFO", ASGI_LOG_ACCESS="off") as judge:
        await judge.invoke(url_event("/hello"))
    assert "GET /hello" not in judge.log


async def test_a_misspelt_setting_is_a_warning(start_local: StartLocal) -> None:
    async with start_local(ASGI_LIFESPANN="on") as judge:
        await judge.invoke(url_event("/hello"))
    assert "Did you mean ASGI_LIFESPAN?" in judge.log


async def test_the_invocation_id_is_echoed(start_local: StartLocal) -> None:
    async with start_local() as judge:
        await judge.invoke(url_event("/hello"))
    (post,) = judge.environment.traffic.matching("POST", "/response")
    assert post.header("lambda-runtime-invocation-id")


async def test_a_free_threaded_python_is_refused(start_local: StartLocal, tmp_path: Path) -> None:
    """Played: no runtime of Lambda is such a build, only an image of the user's own may be."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.abiflags = 't'\n")
    async with start_local(PYTHONPATH=str(tmp_path)) as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "Runtime.UnsupportedPython"
    assert "use the ordinary build" in failure.message
