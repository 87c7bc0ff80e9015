"""Lambda Managed Instances: many events at a time in one process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import Throttled
from lamella.local.execution.environment import Environment, EnvironmentState
from lamella.local.execution.function import LocalFunction
from lamella.local.execution.sandbox import ManagedSandbox
from lamella.local.runtime_api.invocation import Invocation
from lamella.local.runtime_api.managed import ManagedApi, Unavailable
from lamella.local.runtime_api.traffic import Traffic
from tests.local.conftest import Configure
from tests.local.runtime_api.test_on_demand import (
    INIT_ERROR,
    NEXT,
    REGISTER,
    error,
    invocation,
    kind,
    response,
)
from tests.waiting import PATIENCE, is_running, process_state, until

pytestmark = pytest.mark.anyio

HELD = {"do": "hold", "until": "go"}


@contextlib.asynccontextmanager
async def managed(configure: Configure, slots: int, **options: Any) -> AsyncIterator[Environment]:
    """An environment whose slots are all open."""
    async with Environment(configure(max_concurrency=slots, **options)) as environment:
        await until(lambda: environment.slots == slots)
        yield environment


# The environment


async def test_the_variables_of_managed_instances(configure: Configure) -> None:
    async with managed(configure, 3) as environment:
        about = json.loads((await environment.invoke({"do": "environ"})).payload)["variables"]
    assert about["AWS_LAMBDA_INITIALIZATION_TYPE"] == "lambda-managed-instances"
    assert about["AWS_LAMBDA_MAX_CONCURRENCY"] == "3"
    assert about["AWS_LAMBDA_LOG_FORMAT"] == "JSON"


async def test_events_run_at_the_same_time_in_one_process(configure: Configure) -> None:
    async with managed(configure, 8) as environment:
        running = asyncio.gather(*map(environment.invoke, [HELD] * 8))
        await until(lambda: environment.logs.count("event hold") == 8)
        (environment.config.task_root / "go").touch()
        results = await running
    assert len({json.loads(result.payload)["pid"] for result in results}) == 1
    assert len({result.request_id for result in results}) == 8


async def test_each_answer_goes_to_its_own_event(configure: Configure) -> None:
    async with managed(configure, 5) as environment:

        async def echo(number: int) -> int:
            seconds = 0.05 * (5 - number)  # the last event is answered first
            result = await environment.invoke({"do": "sleep", "seconds": seconds})
            slept: float = json.loads(result.payload)["slept"]
            return round(5 - slept / 0.05)

        assert await asyncio.gather(*map(echo, range(5))) == [0, 1, 2, 3, 4]


async def test_without_a_slot_an_event_is_refused_at_once(configure: Configure) -> None:
    async with managed(configure, 1) as environment:
        running = await environment.open({"do": "sleep", "seconds": 0.3})
        refused = await environment.invoke({"do": "echo"})
        assert (await running.collect()).status == "success"
    assert refused.error is not None
    assert refused.error["errorType"] == "Runtime.Unavailable"


async def test_an_event_may_wait_for_a_slot(configure: Configure) -> None:
    async with managed(configure, 2) as environment:

        async def echo(number: int) -> int:
            echoing = {"do": "echo", "n": number}
            answer = await environment.open_in_slot(echoing, patience=PATIENCE)
            assert answer is not None
            echoed: int = json.loads((await answer.collect()).payload)["event"]["n"]
            return echoed

        assert await asyncio.gather(*map(echo, range(50))) == list(range(50))
        for _ in range(2):
            # Both slots have answered, and may be about to ask for the next event.
            assert await environment.open_in_slot(HELD, patience=PATIENCE) is not None
        assert await environment.open_in_slot({"do": "echo"}, patience=0.05) is None


async def test_without_a_process_an_event_starts_one(configure: Configure) -> None:
    environment = Environment(configure(max_concurrency=1))
    answer = await environment.open_in_slot({"do": "echo"}, patience=0)
    assert answer is not None
    assert (await answer.collect()).status == "success"
    await environment.stop()


async def test_several_streams_at_once(configure: Configure) -> None:
    wish = {"do": "stream", "pause": 0.1}
    async with managed(configure, 2) as environment:
        streams = [await environment.open({**wish, "chunks": list(word)}) for word in ("abc", "de")]
        first = [await anext_piece(stream) for stream in streams]
        results = await asyncio.gather(*(stream.collect() for stream in streams))
    assert first == [b"a", b"d"]
    assert [result.payload for result in results] == [b"bc", b"e"]


async def anext_piece(answer: Answer) -> bytes:
    async for piece in answer:
        return piece
    raise AssertionError("nothing came")


async def test_a_deadline_answers_the_caller_and_the_code_runs_on(configure: Configure) -> None:
    async with managed(configure, 2) as environment:
        pid = environment.pid
        result = await environment.invoke({"do": "overrun", "seconds": 0.6}, timeout=0.2)
        other = await environment.invoke({"do": "echo"})
        await until(lambda: any(line.startswith("late error") for line in environment.logs))
        assert environment.pid == pid
    assert result.error is not None
    assert result.error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 0.20 seconds" in result.error["errorMessage"]
    assert other.status == "success"
    assert "late response 410 InvokeTimeout" in environment.logs
    assert "late error 400 InvalidRequestID" in environment.logs, "it is told once"


async def test_an_idle_environment_runs_on(configure: Configure) -> None:
    async with managed(configure, 1) as environment:
        await environment.invoke({"do": "echo"})
        await asyncio.sleep(0.1)
        assert environment.pid is not None
        assert process_state(environment.pid) != "T"
        assert environment.state is EnvironmentState.IDLE


async def test_an_exit_fails_all_that_runs_and_the_environment_is_replaced(
    configure: Configure,
) -> None:
    async with managed(configure, 3) as environment:
        pid = environment.pid
        others = [await environment.open({"do": "sleep", "seconds": 30}) for _ in range(2)]
        crashed = await environment.invoke({"do": "crash", "code": 9})
        results = [await other.collect() for other in others]
        await until(lambda: environment.slots == 3)
        assert environment.pid != pid
        assert (await environment.invoke({"do": "echo"})).status == "success"
    for result in (crashed, *results):
        assert result.error is not None
        assert result.error["errorType"] == "Runtime.ExitError"
    replaced = "Runtime exited with error: exit status 9: the environment is replaced"
    assert replaced in environment.logs


async def test_shutdown_gives_600_ms_after_sigterm(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ManagedSandbox.grace == 0.6
    monkeypatch.setattr(ManagedSandbox, "grace", 2.0)  # this machine may be busy
    variables = {"FAKE_EXTENSION": "yes", "FAKE_STUBBORN": "yes"}
    async with managed(configure, 1, environment=variables) as environment:
        pid = environment.pid
        begun = time.monotonic()
    assert time.monotonic() - begun >= 2
    assert pid is not None
    assert not is_running(pid)
    assert "got SIGTERM" in environment.logs


async def test_what_runs_is_aborted_before_the_shutdown(configure: Configure) -> None:
    async with managed(configure, 1, environment={"FAKE_EXTENSION": "yes"}) as environment:
        answer = await environment.open({"do": "sleep", "seconds": 30})
        await until(lambda: "event sleep" in environment.logs)
    result = await answer.collect()
    assert result.error is not None
    assert result.error["errorType"] == "Client.ExecutionEnvironmentShutDown"


async def test_a_function_throttles_when_its_slots_are_busy(configure: Configure) -> None:
    async with LocalFunction(configure(max_concurrency=2)) as function:
        await function.warm()
        [environment] = function.environments
        await until(lambda: environment.slots == 2)
        running = [await function.open(HELD) for _ in range(2)]
        with pytest.raises(Throttled, match="all 2 slots"):
            await function.open({"do": "echo"})
        (environment.config.task_root / "go").touch()
        for answer in running:
            await answer.collect()
        assert (await function.invoke({"do": "echo"})).status == "success"
        assert function.environments == [environment]


async def test_a_function_whose_code_changed_ends_the_old_one_after_its_work(
    configure: Configure,
) -> None:
    async with LocalFunction(configure(max_concurrency=2)) as function:
        first = await function.open({"do": "sleep", "seconds": 0.4})
        await function.replace()
        again = json.loads((await function.invoke({"do": "echo"})).payload)["pid"]
        old = json.loads((await first.collect()).payload)["pid"]
        await until(lambda: not is_running(old))
    assert again != old


def test_what_cannot_be_configured(configure: Configure) -> None:
    with pytest.raises(ValueError, match="max_concurrency=0"):
        configure(max_concurrency=0)
    with pytest.raises(ValueError, match="choose one"):
        configure(max_concurrency=1, snap_start=True)


# The Runtime API; the texts are those on the wire of AWS's emulator


@pytest.fixture
async def api(configure: Configure) -> AsyncIterator[ManagedApi]:
    api = ManagedApi(configure(max_concurrency=2), Traffic())
    await api.server.start()
    yield api
    await api.server.close()


@pytest.fixture
async def client(api: ManagedApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://{api.server.address}", timeout=PATIENCE
    ) as client:
        yield client


def has_slots(api: ManagedApi, count: int) -> bool:
    return api.slots == count


async def begun(api: ManagedApi, client: httpx.AsyncClient, **fields: Any) -> Invocation:
    """An invocation that the runtime has been handed."""
    asked = asyncio.ensure_future(client.get(NEXT))
    await until(lambda: api.slots == 1)
    sent = invocation(**fields)
    api.dispatch(sent)
    await asked
    return sent


async def test_slots_are_served_first_come_first_served(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    asked = []
    for count in (1, 2):
        asked.append(asyncio.ensure_future(client.get(NEXT)))
        await until(functools.partial(has_slots, api, count))
    for name in ("r1", "r2"):
        api.dispatch(invocation(name))
    ids = [(await reply).headers["lambda-runtime-aws-request-id"] for reply in asked]
    assert ids == ["r1", "r2"]
    with pytest.raises(Unavailable):
        api.dispatch(invocation("r3"))


async def test_a_slot_that_hung_up_swallows_an_event(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    leaving = asyncio.ensure_future(client.get(NEXT))
    await until(lambda: api.slots == 1)
    leaving.cancel()
    asked = asyncio.ensure_future(client.get(NEXT))
    await until(lambda: api.slots == 2)
    api.dispatch(invocation("swallowed"))
    api.dispatch(invocation("received"))
    assert (await asked).headers["lambda-runtime-aws-request-id"] == "received"


async def test_optional_headers_are_sent_empty(api: ManagedApi, client: httpx.AsyncClient) -> None:
    asked = asyncio.ensure_future(client.get(NEXT))
    await until(lambda: api.slots == 1)
    api.dispatch(invocation())
    headers = (await asked).headers
    for name in ("trace-id", "client-context", "cognito-identity", "aws-tenant-id"):
        assert headers[f"lambda-runtime-{name}"] == ""


@pytest.mark.parametrize("again", [response, error])
@pytest.mark.parametrize("first", [response, error])
async def test_a_second_answer_is_a_400(
    api: ManagedApi, client: httpx.AsyncClient, first: Any, again: Any
) -> None:
    await begun(api, client)
    assert (await client.post(first("r1"), content=b"{}")).status_code == 202
    assert kind(await client.post(again("r1"), content=b"{}")) == (400, "InvalidRequestID")


async def test_only_the_first_late_answer_is_a_410(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    api.expire(await begun(api, client))
    late = await client.post(response("r1"), content=b"1")
    assert late.json() == {"errorMessage": "Invoke timeout", "errorType": "InvokeTimeout"}
    assert late.status_code == 410
    assert kind(await client.post(error("r1"))) == (400, "InvalidRequestID")


async def test_an_answer_that_runs_over_its_deadline_is_late(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    sent = await begun(api, client)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"1"
        api.expire(sent)
        sent.answer.fail({"errorType": "Sandbox.Timedout"})
        yield b"2"

    late = await client.post(response("r1"), content=slowly())
    assert kind(late) == (410, "InvokeTimeout")


async def test_a_stale_invocation_id_is_refused(api: ManagedApi, client: httpx.AsyncClient) -> None:
    await begun(api, client, invocation_id="second-attempt")
    stale = {"Lambda-Runtime-Invocation-Id": "first-attempt"}
    refused = await client.post(response("r1"), headers=stale)
    assert kind(refused) == (400, "InvalidRequestID")
    assert (await client.post(response("r1"), content=b"1")).status_code == 202


async def test_an_unknown_response_mode_fails_the_event(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    sent = await begun(api, client)
    mode = {"Lambda-Runtime-Function-Response-Mode": "buffered"}
    refused = await client.post(response("r1"), headers=mode)
    assert kind(refused) == (400, "InvalidFunctionResponseMode")
    assert sent.answer.error is not None
    assert sent.answer.error["errorType"] == "Runtime.InvalidResponseModeHeader"
    assert kind(await client.post(response("r1"))) == (400, "InvalidRequestID")


async def test_an_error_in_the_middle_of_a_stream_breaks_it_off(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    sent = await begun(api, client)
    told = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await told.wait()

    mode = {"Lambda-Runtime-Function-Response-Mode": "streaming"}
    posting = asyncio.ensure_future(client.post(response("r1"), content=chunks(), headers=mode))
    assert await anext_piece(sent.answer) == b"one"
    done = await client.post(error("r1"), json={"errorMessage": "m", "errorType": "T"})
    assert done.status_code == 202
    assert sent.answer.error == {"errorMessage": "m", "errorType": "T"}
    told.set()
    await posting


async def test_of_several_workers_only_one_reports_an_init_error(
    api: ManagedApi, client: httpx.AsyncClient
) -> None:
    first = {"errorMessage": "m", "errorType": "T"}
    assert (await client.post(INIT_ERROR, json=first)).status_code == 202
    refused = await client.post(INIT_ERROR, json={"errorMessage": "second"})
    assert kind(refused) == (403, "InvalidStateTransition")
    assert api.init_error == first


async def test_internal_extensions_may_subscribe_to_nothing(client: httpx.AsyncClient) -> None:
    name = {"Lambda-Extension-Name": "a"}
    refused = await client.post(REGISTER, json={"events": ["INVOKE"]}, headers=name)
    assert kind(refused) == (403, "Extension.InvalidEventType")
    assert refused.json()["errorMessage"] == "No events allowed for internal extensions"
    assert (await client.post(REGISTER, json={"events": []}, headers=name)).status_code == 200


@pytest.mark.parametrize("end", ["next", "error"])
async def test_there_is_no_restore(client: httpx.AsyncClient, end: str) -> None:
    path = f"/2018-06-01/runtime/restore/{end}"
    got = await client.request("GET" if end == "next" else "POST", path)
    assert got.status_code == 404
