"""SnapStart: a snapshot and the environments that are restored from it."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from lamella.local import Environment, FunctionConfig, LocalFunction
from lamella.local.snapshot import RESTORE_LIMIT
from tests.local.conftest import Configure
from tests.waiting import is_running, process_state, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="SnapStart is played with Linux's fork"),
]

RESTORE_NEXT, NEXT = "/runtime/restore/next", "/runtime/invocation/next"


@pytest.fixture
def snap_start(configure: Configure, bootstrap: Path) -> Configure:
    def make(**environment: str) -> FunctionConfig:
        return configure(wrapper=bootstrap, snap_start=True, environment=environment)

    return make


async def drawn(environment: Environment) -> dict[str, Any]:
    """What the environment knows from its init, and what it makes up."""
    drawn: dict[str, Any] = json.loads((await environment.invoke({"do": "draw"})).payload)
    return drawn


async def test_an_environment_is_restored_from_a_snapshot(snap_start: Configure) -> None:
    async with Environment(snap_start()) as environment:
        assert environment.init_error is None
        result = await environment.invoke({"do": "environ"})
        again = await environment.invoke({"do": "echo"})
        logs = list(environment.logs)
    about = json.loads(result.payload)
    assert about["variables"]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert "AWS_LAMBDA_LOG_GROUP_NAME" not in about["variables"]
    assert "AWS_LAMBDA_LOG_STREAM_NAME" not in about["variables"]
    assert len(about["argv"]) == 1, "the hook in front of the runtime is not in its arguments"
    assert again.status == "success"
    assert logs.index("INIT_START Runtime Version: local") < logs.index("restored 200")
    assert any("Restore Duration: " in line for line in logs if line.startswith("REPORT"))


async def test_clones_share_what_init_made_and_nothing_else(snap_start: Configure) -> None:
    one = Environment(snap_start())
    two = Environment(one.config, snapshot=one.snapshot)
    async with one, two:
        answers = [await drawn(environment) for environment in (one, two)]
        assert [e.pid for e in (one, two)] == [answer["pid"] for answer in answers]
        running = await one.open({"do": "sleep", "seconds": 0.3})
        assert (await two.invoke({"do": "echo"})).status == "success"
        assert (await running.collect()).status == "success"
    assert "event sleep" in one.logs
    assert "event sleep" not in two.logs, "each has its own output"
    first, second = answers
    assert first["token"] == second["token"], "init ran once"
    assert first["random"] == second["random"], "a runtime that does not reseed repeats itself"
    assert first["pid"] != second["pid"]


async def test_many_restores_at_once(snap_start: Configure) -> None:
    async with Environment(snap_start()) as first:
        others = [Environment(first.config, snapshot=first.snapshot) for _ in range(8)]
        await asyncio.gather(*(other.start() for other in others))
        answers = await asyncio.gather(*map(drawn, others))
        await asyncio.gather(*(other.stop() for other in others))
    assert len({answer["pid"] for answer in answers}) == 8
    assert len({answer["token"] for answer in answers}) == 1


async def test_the_snapshot_and_its_clones_end(snap_start: Configure) -> None:
    async with Environment(snap_start()) as environment:
        clone = (await drawn(environment))["pid"]
        await until(lambda: process_state(clone) == "T")
        snapshot = parent_of(clone)
        assert process_state(snapshot) == "T"
    assert not is_running(clone)
    assert not is_running(snapshot)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_connections_are_new_after_the_restore_and_others_are_dead(
    snap_start: Configure,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        port = str(database.getsockname()[1])
        async with Environment(snap_start(FAKE_DATABASE=port)) as environment:
            assert (await drawn(environment))["database"] == "dead"
            *_, restored = environment.traffic.matching("GET", RESTORE_NEXT)
            asked = environment.traffic.matching("GET", NEXT)
    assert restored.status == 200
    assert restored.client not in {exchange.client for exchange in asked}


async def test_a_crash_is_followed_by_another_restore(snap_start: Configure) -> None:
    async with Environment(snap_start()) as environment:
        token = (await drawn(environment))["token"]
        crashed = await environment.invoke({"do": "crash", "code": 9})
        assert (await drawn(environment))["token"] == token
    assert crashed.error is not None
    assert crashed.error["errorMessage"].endswith("Runtime exited with error: exit status 9")


async def test_sigterm_reaches_a_clone_of_a_snapshot_with_an_extension(
    snap_start: Configure,
) -> None:
    async with Environment(snap_start(FAKE_EXTENSION="yes")) as environment:
        await environment.invoke({"do": "echo"})
    assert environment.logs.count("got SIGTERM") == 1, "the snapshot itself is not shut down"


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
    monkeypatch.setattr("lamella.local.environment.RESTORE_LIMIT", 0.5)
    async with Environment(snap_start(FAKE_HOOK="slow")) as environment:
        assert environment.init_error is not None
        assert environment.init_error.error_type == "SnapStartTimeoutException"


async def test_threads_that_a_clone_will_miss_are_told(snap_start: Configure) -> None:
    async with Environment(snap_start(FAKE_HOOK="threads")) as environment:
        assert environment.init_error is None
    assert any("has 2 threads" in line for line in environment.logs)


async def test_a_runtime_that_does_not_ask_for_a_restore_is_ready_all_the_same(
    configure: Configure, bootstrap: Path
) -> None:
    # As rapid has it for managed runtimes: /next without /restore/next before it.
    script = bootstrap.with_name("bootstrap")
    script.write_text(script.read_text().replace("        restore()\n", "        pass\n"))
    async with Environment(configure(wrapper=bootstrap, snap_start=True)) as environment:
        assert environment.init_error is None
        assert (await environment.invoke({"do": "echo"})).status == "success"


async def test_a_wrapper_that_takes_another_interpreter_cannot_be_cloned(
    configure: Configure, wrapper: Path
) -> None:
    async with Environment(configure(snap_start=True)) as environment:
        assert environment.init_error is not None
        assert "starts the interpreter it is given" in environment.init_error.message


async def test_the_environments_of_a_function_have_one_snapshot(snap_start: Configure) -> None:
    async with LocalFunction(snap_start()) as function:
        sleeping = [function.invoke({"do": "sleep", "seconds": 0.3}) for _ in range(3)]
        pids = {json.loads(r.payload)["pid"] for r in await asyncio.gather(*sleeping)}
        parents = {parent_of(pid) for pid in pids}
        before = json.loads((await function.invoke({"do": "draw"})).payload)["token"]
        await function.replace()
        after = json.loads((await function.invoke({"do": "draw"})).payload)["token"]
        assert not any(map(is_running, pids | parents)), "the old snapshot is gone, too"
    assert len(pids) == 3
    assert len(parents) == 1
    assert before != after


async def test_a_snapshot_that_is_not_ready_can_be_stopped(snap_start: Configure) -> None:
    environment = Environment(snap_start(FAKE_INIT="hang"))
    starting = asyncio.ensure_future(environment.start())
    await asyncio.sleep(0.3)
    await asyncio.wait_for(environment.stop(), 5)
    failure = await starting
    assert failure is not None
    assert failure.error_type == "Runtime.Shutdown"


def test_snap_start_needs_a_wrapper(configure: Configure) -> None:
    with pytest.raises(ValueError, match="needs a wrapper"):
        configure(wrapper=None, command=("python", "runtime.py"), snap_start=True)
