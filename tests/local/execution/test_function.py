"""Scaling: an environment for each event at a time, warm ones reused, and the limit."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from lamella.front_doors.answer import InvokeResult
from lamella.front_doors.delivery import Throttled
from lamella.local.execution.function import LocalFunction
from tests.local.conftest import Configure
from tests.waiting import is_running, until

pytestmark = pytest.mark.anyio


HELD = {"do": "hold", "until": "go"}


def has_begun(function: LocalFunction, events: int = 1) -> bool:
    """Whether so many events that are held have reached their runtimes."""
    logs = [line for environment in function.environments for line in environment.logs]
    return logs.count("event hold") == events


def pid_of(result: InvokeResult) -> int:
    pid = json.loads(result.payload)["pid"]
    assert isinstance(pid, int)
    return pid


async def test_events_one_after_another_share_an_environment(configure: Configure) -> None:
    async with LocalFunction(configure()) as function:
        first = await function.invoke({"do": "echo"})
        second = await function.invoke({"do": "echo"})
    assert pid_of(first) == pid_of(second) != os.getpid()


async def test_concurrent_events_get_environments_of_their_own(configure: Configure) -> None:
    config = configure()
    async with LocalFunction(config, concurrency=3) as function:
        running = asyncio.gather(*(function.invoke(HELD) for _ in range(3)))
        await until(lambda: has_begun(function, events=3))
        (config.task_root / "go").touch()
        results = await running
        pids = {pid_of(result) for result in results}
        assert len(pids) == 3
    assert not any(is_running(pid) for pid in pids), "stop leaves no process behind"


async def test_the_most_recently_used_environment_is_reused_first(configure: Configure) -> None:
    config = configure()
    async with LocalFunction(config) as function:
        slow = asyncio.ensure_future(function.invoke(HELD))
        await until(lambda: has_begun(function))
        await function.invoke({"do": "echo"})
        (config.task_root / "go").touch()
        last = await slow
        assert pid_of(await function.invoke({"do": "echo"})) == pid_of(last)


async def test_over_the_limit_an_event_is_throttled(configure: Configure) -> None:
    config = configure()
    async with LocalFunction(config, concurrency=1) as function:
        running = asyncio.ensure_future(function.invoke(HELD))
        await until(lambda: has_begun(function))
        with pytest.raises(Throttled, match="all 1 environments are busy"):
            await function.invoke({"do": "echo"})
        (config.task_root / "go").touch()
        await running


async def test_an_environment_that_fails_to_init_is_thrown_away(configure: Configure) -> None:
    config = configure(environment={"FAKE_INIT": "error"})
    async with LocalFunction(config, concurrency=1) as function:
        assert await function.warm() is not None
        for _ in range(2):
            result = await function.invoke({"do": "echo"})
            assert result.error == {"errorMessage": "no such app", "errorType": "ImportError"}
        assert function.environments == []


@pytest.mark.parametrize("warm", [True, False])
async def test_an_init_that_takes_too_long_begins_again_with_the_first_event(
    configure: Configure, warm: bool
) -> None:
    said: list[str] = []
    config = configure(environment={"FAKE_INIT": "wait"}, init_timeout=0.3)
    async with LocalFunction(config, log=said.append) as function:
        if warm:
            assert await function.warm() is None
        first = asyncio.ensure_future(function.invoke({"do": "echo"}))
        await until(lambda: any(line.startswith("The init phase") for line in said))
        (config.task_root / "go").touch()
        before = await first
        assert pid_of(await function.invoke({"do": "echo"})) == pid_of(before)
        (environment,) = function.environments
    for lines in (said, environment.logs):
        assert [line for line in lines if line.startswith("The init phase")] == [
            "The init phase took more than 0.3 s and was ended. As on Lambda, it begins again "
            "with the first event, under the function's timeout of 30 s. Import less, or prepare "
            "more in the build (lamella compile)."
        ]


async def test_with_snap_start_an_init_that_takes_too_long_is_a_failure(
    configure: Configure,
) -> None:
    config = configure(environment={"FAKE_INIT": "hang"}, init_timeout=0.5, snap_start=True)
    async with LocalFunction(config) as function:
        failure = await function.warm()
        assert failure is not None
        assert failure.message == "Init phase timed out after 0.50 seconds"
        assert function.environments == []


async def test_replace_lets_a_running_event_finish(configure: Configure) -> None:
    config = configure()
    async with LocalFunction(config) as function:
        running = asyncio.ensure_future(function.invoke(HELD))
        await until(lambda: has_begun(function))
        await function.replace()
        (config.task_root / "go").touch()
        old = await running
        new = await function.invoke({"do": "echo"})
        assert old.status == "success"
        assert pid_of(new) != pid_of(old)
    assert not is_running(pid_of(old))


async def test_a_stopped_function_takes_no_more_events(configure: Configure) -> None:
    async with LocalFunction(configure()) as function:
        pass
    with pytest.raises(Throttled, match="stopped"):
        await function.invoke({"do": "echo"})


async def test_events_are_spread_in_turn(configure: Configure) -> None:
    async with LocalFunction(configure(), spread=3) as function:
        pids = []
        for _ in range(7):
            pids.append(pid_of(await function.invoke({"do": "echo"})))
    assert len(set(pids)) == 3
    assert pids[:3] == pids[3:6]
    assert pids[6] == pids[0]


async def test_a_spread_function_is_warm_everywhere(configure: Configure) -> None:
    async with LocalFunction(configure(), spread=2) as function:
        assert await function.warm() is None
        assert len(function.environments) == 2
        pids = set()
        for _ in range(2):
            pids.add(pid_of(await function.invoke({"do": "echo"})))
        assert len(pids) == len(function.environments) == 2


async def test_a_busy_environment_is_left_out_of_the_turn(configure: Configure) -> None:
    config = configure()
    async with LocalFunction(config, spread=2) as function:
        await function.warm()
        slow = asyncio.ensure_future(function.invoke(HELD))
        await until(lambda: has_begun(function))
        quick = {pid_of(await function.invoke({"do": "echo"})) for _ in range(3)}
        assert not slow.done()
        (config.task_root / "go").touch()
        assert len(quick) == 1
        assert pid_of(await slow) not in quick


async def test_the_spread_is_within_the_concurrency(configure: Configure) -> None:
    async with LocalFunction(configure(), concurrency=1, spread=5) as function:
        assert function.spread == 1
        assert await function.warm() is None


async def test_managed_instances_have_no_spread(configure: Configure) -> None:
    async with LocalFunction(configure(max_concurrency=4), spread=2) as function:
        pids = [pid_of(await function.invoke({"do": "echo"})) for _ in range(3)]
    assert len(set(pids)) == 1
