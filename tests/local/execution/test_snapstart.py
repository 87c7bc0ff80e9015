"""SnapStart: a runtime that is held in /restore/next between its init and its first event."""

from __future__ import annotations

import asyncio
import json

import pytest

from lamella.local.config import FunctionConfig
from lamella.local.execution.environment import RESTORE_LIMIT, Environment
from lamella.local.execution.function import LocalFunction
from tests.local.conftest import Configure
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.anyio

RESTORE_NEXT, NEXT = "/runtime/restore/next", "/runtime/invocation/next"


@pytest.fixture
def snap_start(configure: Configure) -> Configure:
    def make(**environment: str) -> FunctionConfig:
        return configure(snap_start=True, environment=environment)

    return make


async def test_an_environment_is_restored_after_its_init(snap_start: Configure) -> None:
    async with Environment(snap_start()) as environment:
        assert environment.init_error is None
        (restored,) = environment.traffic.matching("GET", RESTORE_NEXT)
        (asked,) = environment.traffic.matching("GET", NEXT)
        result = await environment.invoke({"do": "environ"})
        again = await environment.invoke({"do": "echo"})
        logs = list(environment.logs)
    variables = json.loads(result.payload)["variables"]
    assert variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert "AWS_LAMBDA_LOG_GROUP_NAME" not in variables
    assert "AWS_LAMBDA_LOG_STREAM_NAME" not in variables
    assert again.status == "success"
    assert restored.status == 200
    assert restored.answered_at is not None
    assert restored.answered_at < asked.at
    steps = ["INIT_START Runtime Version: local", "RESTORE_START Runtime Version: local"]
    assert [line for line in logs if line in (*steps, "restored 200")] == [*steps, "restored 200"]
    assert any("Restore Duration: " in line for line in logs if line.startswith("REPORT"))


async def test_a_crash_is_followed_by_another_restore(snap_start: Configure) -> None:
    async with Environment(snap_start()) as environment:
        crashed = await environment.invoke({"do": "crash", "code": 9})
        assert (await environment.invoke({"do": "echo"})).status == "success"
        assert len(environment.traffic.matching("GET", RESTORE_NEXT)) == 2
    assert crashed.error is not None
    assert crashed.error["errorMessage"].endswith("Runtime exited with error: exit status 9")


@pytest.mark.usefixtures("patient_shutdown")
async def test_an_extension_lives_through_the_restore(snap_start: Configure) -> None:
    async with Environment(snap_start(FAKE_EXTENSION="yes")) as environment:
        assert environment.init_error is None
        await environment.invoke({"do": "echo"})
    assert environment.logs.count("got SIGTERM") == 1


@pytest.mark.parametrize(
    ("hook", "error_type", "exit_code"),
    [
        ("before", "Runtime.BeforeSnapshotError", 64),
        ("after", "Runtime.AfterRestoreError", 65),
    ],
)
async def test_a_hook_that_fails(
    snap_start: Configure, hook: str, error_type: str, exit_code: int
) -> None:
    async with Environment(snap_start(FAKE_HOOK=hook)) as environment:
        failure = environment.init_error
        result = await environment.invoke({"do": "echo"})
    assert failure is not None
    assert failure.error == {"errorMessage": "a hook failed", "errorType": error_type}
    assert failure.exit_code == exit_code
    assert result.error == failure.error
    report = "INIT_REPORT" if hook == "before" else "RESTORE_REPORT"
    assert any(line.startswith(report) for line in environment.logs)


async def test_the_restore_has_a_time_limit(
    snap_start: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RESTORE_LIMIT == 10
    monkeypatch.setattr("lamella.local.execution.environment.RESTORE_LIMIT", 0.5)
    async with Environment(snap_start(FAKE_HOOK="slow")) as environment:
        assert environment.init_error is not None
        assert environment.init_error.error_type == "SnapStartTimeoutException"


async def test_a_runtime_that_does_not_ask_for_a_restore_is_ready_all_the_same(
    snap_start: Configure,
) -> None:
    # As rapid has it for managed runtimes: /next without /restore/next before it.
    config = snap_start()
    script = config.wrapper
    assert script is not None
    script.write_text(script.read_text().replace("        restore()\n", "        pass\n"))
    async with Environment(config) as environment:
        assert environment.init_error is None
        assert (await environment.invoke({"do": "echo"})).status == "success"


async def test_each_environment_of_a_function_has_a_restore(snap_start: Configure) -> None:
    async with LocalFunction(snap_start()) as function:
        sleeping = [function.invoke({"do": "sleep", "seconds": 0.3}) for _ in range(2)]
        pids = {json.loads(r.payload)["pid"] for r in await asyncio.gather(*sleeping)}
        restores = [e.traffic.matching("GET", RESTORE_NEXT) for e in function.environments]
    assert len(pids) == 2
    assert [len(each) for each in restores] == [1, 1]


async def test_an_init_that_is_not_done_can_be_stopped(snap_start: Configure) -> None:
    environment = Environment(snap_start(FAKE_INIT="hang"))
    starting = asyncio.ensure_future(environment.start())
    await until(lambda: environment.pid is not None)
    await asyncio.wait_for(environment.stop(), PATIENCE)
    failure = await starting
    assert failure is not None
    assert failure.error_type == "Runtime.Shutdown"
