"""The life of an environment: init, freeze, events, time limits, crashes, shutdown."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lamella.local.execution.environment import Environment, EnvironmentState
from tests.local.conftest import Configure
from tests.waiting import is_running, process_state, until

pytestmark = pytest.mark.anyio

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def test_an_event_goes_in_and_its_result_comes_out(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        result = await environment.invoke({"do": "echo", "n": 1})
    assert result.status == "success"
    assert json.loads(result.payload)["event"] == {"do": "echo", "n": 1}
    assert not result.streamed
    assert result.error is None


async def test_the_headers_of_next_leave_out_what_is_empty(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        plain = json.loads((await environment.invoke({"do": "echo"})).payload)["headers"]
        rich = await environment.invoke(
            {"do": "echo"}, client_context={"custom": 1}, tenant_id="t1", trace_id="Root=1-2-3"
        )
    assert plain["content-type"] == "application/json"
    assert plain["lambda-runtime-invoked-function-arn"].endswith(":function:local")
    assert 0 < int(plain["lambda-runtime-deadline-ms"]) / 1000 - time.time() < 31
    assert "lambda-runtime-client-context" not in plain
    assert "lambda-runtime-trace-id" not in plain
    headers = json.loads(rich.payload)["headers"]
    assert json.loads(headers["lambda-runtime-client-context"]) == {"custom": 1}
    assert headers["lambda-runtime-aws-tenant-id"] == "t1"
    assert headers["lambda-runtime-trace-id"] == "Root=1-2-3"


async def test_the_process_starts_as_lambda_starts_an_exec_wrapper(
    configure: Configure, wrapper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL_SECRET", "x")
    config = configure(environment={"MINE": "1", "AWS_REGION": "refused"}, handler="a.b")
    async with Environment(config) as environment:
        about = json.loads((await environment.invoke({"do": "environ"})).payload)
    assert about["argv"] == [str(wrapper), sys.executable, "/var/runtime/bootstrap.py"]
    assert about["cwd"] == str(config.task_root)
    variables = about["variables"]
    assert variables["MINE"] == "1"
    assert variables["AWS_REGION"] == "us-east-1", "a reserved variable stays"
    assert variables["_HANDLER"] == "a.b"
    assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == str(wrapper)
    assert variables["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python3.{sys.version_info.minor}"
    assert variables["LAMBDA_TASK_ROOT"] == str(config.task_root)
    assert "SHELL_SECRET" not in variables
    assert "PYTHONPATH" not in variables


async def test_a_command_can_take_the_place_of_the_wrapper(
    configure: Configure, wrapper: Path
) -> None:
    config = configure(wrapper=None, command=(sys.executable, str(wrapper), "extra"))
    async with Environment(config) as environment:
        about = json.loads((await environment.invoke({"do": "environ"})).payload)
    assert about["argv"] == [str(wrapper), "extra"]
    assert "AWS_LAMBDA_EXEC_WRAPPER" not in about["variables"]


@linux_only
async def test_an_idle_environment_is_frozen_and_thaws_for_an_event(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        pid = environment.pid
        assert pid is not None
        await until(lambda: process_state(pid) == "T")
        answer = await environment.open({"do": "sleep", "seconds": 0.3})
        await until(lambda: process_state(pid) != "T")
        await answer.collect()
        await until(lambda: process_state(pid) == "T")
        assert environment.state is EnvironmentState.IDLE


@linux_only
async def test_freezing_can_be_turned_off(configure: Configure) -> None:
    async with Environment(configure(freeze=False)) as environment:
        await environment.invoke({"do": "echo"})
        await asyncio.sleep(0.1)
        assert environment.pid is not None
        assert process_state(environment.pid) != "T"


async def test_the_answer_is_there_before_the_invocation_is_over(configure: Configure) -> None:
    config = configure()
    async with Environment(config) as environment:
        answer = await environment.open({"do": "late", "until": "go"})
        assert [piece async for piece in answer] == [b'"early"']
        assert environment.state is EnvironmentState.BUSY
        (config.task_root / "go").touch()
        result = await answer.collect()
    assert result.finished_at > result.response_at


async def test_lines_of_the_process_and_of_lambda_are_kept(configure: Configure) -> None:
    async with Environment(configure(memory=256)) as environment:
        first = await environment.invoke({"do": "echo"})
        await environment.invoke({"do": "echo"})
        logs = list(environment.logs)
    assert f"START RequestId: {first.request_id} Version: $LATEST" in logs
    assert "event echo" in logs
    assert f"END RequestId: {first.request_id}" in logs
    cold, warm = (line for line in logs if line.startswith("REPORT"))
    assert "\tMemory Size: 256 MB\t" in cold
    assert "Billed Duration: " in cold
    assert "Init Duration: " in cold
    assert "Init Duration: " not in warm


async def test_an_error_of_the_function_is_the_payload(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        result = await environment.invoke({"do": "error", "message": "nothing here"})
        after = await environment.invoke({"do": "echo"})
    assert result.status == "error"
    assert result.error == {"errorMessage": "nothing here", "errorType": "Oops"}
    assert json.loads(result.payload) == result.error
    assert after.status == "success"


async def test_over_its_timeout_the_process_is_killed_and_replaced(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        pid = environment.pid
        result = await environment.invoke({"do": "sleep", "seconds": 30}, timeout=0.5)
        assert pid is not None
        assert not is_running(pid)
        after = await environment.invoke({"do": "echo"})
        assert environment.pid != pid
    assert result.error is not None
    assert result.error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 0.50 seconds" in result.error["errorMessage"]
    assert after.status == "success"
    assert any("Status: timeout" in line for line in environment.logs)


async def test_the_error_names_the_whole_timeout_where_an_init_took_a_part_of_it(
    configure: Configure,
) -> None:
    environment = Environment(configure())
    result = await environment.invoke({"do": "sleep", "seconds": 30}, timeout=3.0)
    await environment.stop()
    assert result.error is not None
    assert "Task timed out after 3.00 seconds" in result.error["errorMessage"]


async def test_a_crash_fails_the_event_and_the_next_one_gets_a_new_process(
    configure: Configure,
) -> None:
    async with Environment(configure()) as environment:
        result = await environment.invoke({"do": "crash", "code": 9})
        after = await environment.invoke({"do": "echo"})
    assert result.error is not None
    assert result.error["errorType"] == "Runtime.ExitError"
    assert result.error["errorMessage"].endswith("Runtime exited with error: exit status 9")
    assert after.status == "success"
    assert "about to crash" in environment.logs


async def test_a_crash_in_the_middle_of_a_stream_breaks_it_off(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        result = await environment.invoke({"do": "stream", "chunks": ["one"], "crash": True})
    assert result.payload == b"one"
    assert result.status == "error"
    assert result.error is not None
    assert result.error["errorType"] == "Runtime.ExitError"


async def test_an_init_error_is_reported_with_the_exit_code(configure: Configure) -> None:
    async with Environment(configure(environment={"FAKE_INIT": "error"})) as environment:
        failure = environment.init_error
        assert failure is not None
        assert failure.error == {"errorMessage": "no such app", "errorType": "ImportError"}
        assert failure.exit_code == 3
        assert environment.pid is None
        result = await environment.invoke({"do": "echo"})
    assert result.error == failure.error, "the invocation runs the init again and meets the same"


async def test_an_exit_during_init_is_an_init_error(configure: Configure) -> None:
    async with Environment(configure(environment={"FAKE_INIT": "exit"})) as environment:
        assert environment.init_error is not None
        assert environment.init_error.error_type == "Runtime.ExitError"
        assert environment.init_error.exit_code == 4


async def test_init_has_a_time_limit(configure: Configure) -> None:
    config = configure(environment={"FAKE_INIT": "hang"}, init_timeout=0.5)
    async with Environment(config) as environment:
        assert environment.init_error is not None
        assert environment.init_error.status == "timeout"
    assert any(line.startswith("INIT_REPORT") for line in environment.logs)


async def test_a_missing_wrapper_fails_as_in_lambda(configure: Configure, tmp_path: Path) -> None:
    async with Environment(configure(wrapper=tmp_path / "nowhere")) as environment:
        assert environment.init_error is not None
        assert environment.init_error.exit_code == 127
        assert "does not exist" in environment.init_error.message


async def test_a_wrapper_without_the_executable_bit_fails_as_in_lambda(
    configure: Configure,
) -> None:
    async with Environment(configure(wrapper=Path(__file__))) as environment:
        assert environment.init_error is not None
        assert environment.init_error.exit_code == 126


async def test_stop_kills_a_runtime_without_extension_at_once(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        pid = environment.pid
    assert pid is not None
    assert not is_running(pid)
    assert "got SIGTERM" not in environment.logs
    assert environment.state is EnvironmentState.DEAD


@pytest.mark.usefixtures("patient_shutdown")
async def test_stop_sends_sigterm_when_an_extension_is_registered(configure: Configure) -> None:
    async with Environment(configure(environment={"FAKE_EXTENSION": "yes"})) as environment:
        pid = environment.pid
        await environment.invoke({"do": "echo"})
    assert pid is not None
    assert not is_running(pid)
    assert "got SIGTERM" in environment.logs


async def test_a_runtime_that_ignores_sigterm_is_killed(configure: Configure) -> None:
    variables = {"FAKE_EXTENSION": "yes", "FAKE_STUBBORN": "yes"}
    async with Environment(configure(environment=variables)) as environment:
        pid = environment.pid
        begun = time.monotonic()
    assert time.monotonic() - begun >= 0.5
    assert pid is not None
    assert not is_running(pid)


@pytest.mark.usefixtures("patient_shutdown")
async def test_a_runtime_that_drains_is_not_frozen_meanwhile(configure: Configure) -> None:
    variables = {"FAKE_EXTENSION": "yes", "FAKE_DRAIN": "yes"}
    async with Environment(configure(environment=variables)) as environment:
        answer = await environment.open({"do": "sleep", "seconds": 0.2})
        await until(lambda: "event sleep" in environment.logs)
        await asyncio.sleep(0.1)  # it answers, and asks for the next event, during the shutdown
    assert (await answer.collect()).status == "success"
    assert "drained" in environment.logs


async def test_an_extension_that_subscribed_is_told_of_each_event(configure: Configure) -> None:
    config = configure(environment={"FAKE_EXTENSION": "yes INVOKE"})
    async with Environment(config) as environment:
        result = await environment.invoke({"do": "echo"})
    told = [line for line in environment.logs if line.startswith("extension")]
    assert len(told) == 1
    event = json.loads(told[0].removeprefix("extension "))
    assert event["eventType"] == "INVOKE"
    assert event["requestId"] == result.request_id


async def test_stop_fails_the_event_that_is_running(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        answer = await environment.open({"do": "sleep", "seconds": 30})
        await until(lambda: "event sleep" in environment.logs)
    result = await answer.collect()
    assert result.status == "error"


async def test_unknown_options_of_an_invocation_are_refused(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        with pytest.raises(TypeError, match="deadline"):
            await environment.open({}, deadline=1)


def test_a_function_needs_a_wrapper_or_a_command(configure: Configure) -> None:
    with pytest.raises(ValueError, match="a wrapper or a command"):
        configure(wrapper=None)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of all processes that are started: runtimes, and the leashes that hold them."""
    pids = []
    start = asyncio.create_subprocess_exec

    async def record(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        await asyncio.sleep(0.1)  # time to be stopped in
        process = await start(*arguments, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", record)
    return pids


@pytest.mark.parametrize("processes", [0, 1, 2])
async def test_stop_during_the_start_of_the_process_leaves_nothing_behind(
    configure: Configure, started: list[int], processes: int
) -> None:
    environment = Environment(configure(environment={"FAKE_INIT": "hang"}))
    starting = asyncio.ensure_future(environment.start())
    await until(lambda: len(started) == processes)
    begun = time.monotonic()
    await environment.stop()
    failure = await starting
    assert time.monotonic() - begun < 30, "the init, which hangs, is not waited for"
    assert failure is not None
    assert failure.error_type == "Runtime.Shutdown"
    assert not any(map(is_running, started))


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_start_that_is_cancelled_leaves_nothing_behind(
    configure: Configure, started: list[int], processes: int
) -> None:
    environment = Environment(configure(environment={"FAKE_INIT": "hang"}))
    starting = asyncio.ensure_future(environment.start())
    await until(lambda: len(started) == processes)
    starting.cancel()
    await asyncio.wait([starting])
    await environment.stop()
    await until(lambda: not any(map(is_running, started)))


async def test_a_leash_ends_with_what_it_holds(configure: Configure, started: list[int]) -> None:
    # The group's number may soon be another one's, which the leash must never kill.
    async with Environment(configure(freeze=False)) as environment:
        runtime, leash = started
        assert environment.pid == runtime
        assert is_running(leash)
        os.kill(runtime, signal.SIGKILL)
        await until(lambda: not is_running(leash))
