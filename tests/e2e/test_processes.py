"""Processes that an application starts: what AWS's own runtime gives, on every Python.

Each test runs the same function twice: under Lamella's bootstrap, and under awslambdaric.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from layer.pythons import Python
from tests.e2e.conftest import FUNCTION, StartLocal
from tests.e2e.judges import LocalJudge, under_awslambdaric
from tests.e2e.packages import uvloop
from tests.events import url_event
from tests.waiting import until

pytestmark = pytest.mark.anyio


class Start(Protocol):
    def __call__(self, **environ: str) -> AbstractAsyncContextManager[LocalJudge]: ...


@pytest.fixture(params=["bootstrap", "streamed", "one line", "awslambdaric"])
def start(request: pytest.FixtureRequest, opt: Path, python: Python) -> Start:
    """Start `processes:app` by each way."""
    way = request.param

    @asynccontextmanager
    async def start(**environ: str) -> AsyncIterator[LocalJudge]:
        variables = {"ASGI_APP": "processes:app", **environ}
        if way == "streamed":
            variables["ASGI_INVOKE_MODE"] = "response_stream"
            judge = LocalJudge(opt, python.path, FUNCTION, variables, timeout=60.0)
        else:
            handler = "lamella.handler" if way == "awslambdaric" else "lamella.serve.processes:app"
            judge = under_awslambdaric(opt, python, FUNCTION, handler, variables, timeout=60.0)
        async with judge:
            yield judge

    return start


async def ask(judge: LocalJudge, path: str, query: str = "") -> Any:
    """What the route answers; nobody but the one runtime has asked for an event meanwhile."""
    before = judge.environment.traffic.matching("GET", "/invocation/next")
    outcome = await judge.invoke(url_event(path, query=query))
    after = judge.environment.traffic.matching("GET", "/invocation/next")
    assert len(after) == len(before) + 1, "one runtime asks for one next event"
    if b"\0" * 8 in outcome.payload:
        return json.loads(outcome.streamed()[1])
    return outcome.content


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
async def test_children_give_their_results(start: Start, method: str) -> None:
    async with start() as judge:
        assert await ask(judge, "/pipe", method + "&here") == [42, 0]
        assert await ask(judge, "/pool", method) == [1, 4, 9]
        assert await ask(judge, "/manager", method) == [1, 2]
        assert await ask(judge, "/hello") == "hello"


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.parametrize("where", ["", "&here"])
async def test_a_terminated_child_ends_by_the_signal(start: Start, method: str, where: str) -> None:
    async with start() as judge:
        assert await ask(judge, "/hello") == "hello"
        assert await ask(judge, "/term", method + where) == -15
        assert await ask(judge, "/int", method + where) in (1, -2)  # KeyboardInterrupt
        assert await ask(judge, "/hello") == "hello"


async def test_other_children(start: Start) -> None:
    async with start() as judge:
        assert await ask(judge, "/subprocess") == 42
        assert await ask(judge, "/child_loop", "&here") == 7
        assert await ask(judge, "/fork_os_exit", "&here") == 4
        assert await ask(judge, "/fork_exit", "&here") == 3
        assert await ask(judge, "/hello") == "hello"


async def test_no_socket_is_inherited(start_local: StartLocal) -> None:
    """awslambdaric's own are."""
    async with start_local("processes:app") as judge:
        assert await ask(judge, "/sockets") == 0


async def test_a_child_may_be_terminated_before_it_has_run(start: Start) -> None:
    async with start() as judge:
        for _ in range(5):
            assert await ask(judge, "/term_at_once", "fork&here") == [-15] * 10
        assert await ask(judge, "/hello") == "hello"


async def test_an_interrupt_before_a_child_has_run_is_not_lost(start_local: StartLocal) -> None:
    """Python ignores a KeyboardInterrupt in a function that it calls at a fork."""
    async with start_local("processes:app") as judge:
        for _ in range(5):
            assert set(await ask(judge, "/int_at_once", "fork&here")) <= {1, -2}
        assert await ask(judge, "/hello") == "hello"


async def test_a_child_that_comes_back_ends_and_answers_nobody(start_local: StartLocal) -> None:
    """Under awslambdaric it would answer the request, and ask for the next one."""
    async with start_local("processes:app") as judge:
        assert await ask(judge, "/fork_return", "&here") == 0
        assert await ask(judge, "/hello") == "hello"


async def test_children_under_uvloop(start_local: StartLocal, python: Python) -> None:
    packages = uvloop(python)
    async with start_local("processes:app", ASGI_LOOP="uvloop", PYTHONPATH=str(packages)) as judge:
        assert await ask(judge, "/pipe", "spawn") == [42, 0]
        assert await ask(judge, "/term_at_once", "fork&here") == [-15] * 10
        assert await ask(judge, "/term", "fork") == -15
        assert await ask(judge, "/fork_exit", "&here") == 3
        assert await ask(judge, "/fork_return", "&here") == 0
        assert await ask(judge, "/hello") == "hello"


@pytest.mark.parametrize("processes", ["1", "2"])
async def test_children_on_managed_instances(start_local: StartLocal, processes: str) -> None:
    options = {"concurrency": 4}
    async with start_local("processes:app", options, ASGI_PROCESSES=processes) as judge:

        async def answer(path: str, query: str = "") -> Any:
            return (await judge.invoke(url_event(path, query=query))).content

        assert await answer("/term_at_once", "fork&here") == [-15] * 10
        assert await answer("/pool", "spawn") == [1, 4, 9]
        assert await answer("/fork_exit", "&here") == 3
        assert await asyncio.gather(*(answer("/hello") for _ in range(8))) == ["hello"] * 8
    assert "Worker" not in judge.log


@pytest.mark.parametrize("where", ["import", "startup"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_application_s_own_handler_is_called_after_lamella_s_shutdown(
    start_local: StartLocal, where: str, number: signal.Signals
) -> None:
    async with start_local("signalled:app", WHERE=where, NUMBER=str(int(number))) as judge:
        await judge.invoke(url_event("/hello"))
        process = judge.environment.pid
        assert process is not None
        os.kill(process, signal.SIGCONT)
        os.kill(process, number)
        await until(lambda: "own handler" in judge.log)
    assert judge.log.index("lifespan shutdown") < judge.log.index("own handler")


async def test_lambda_is_asked_for_the_signal_that_an_application_handles(
    start_local: StartLocal,
) -> None:
    """Without an extension Lambda sends none, and `stop` of the local Lambda neither."""
    async with start_local("signalled:app", WHERE="import", ASGI_LIFESPAN="off") as judge:
        await judge.invoke(url_event("/hello"))
    assert "own handler" in judge.log


async def test_workers_call_the_application_s_own_handler(start_local: StartLocal) -> None:
    options = {"concurrency": 4}
    settings = {"WHERE": "import", "ASGI_LIFESPAN": "off", "ASGI_PROCESSES": "2"}
    async with start_local("signalled:app", options, **settings) as judge:
        await judge.invoke(url_event("/hello"))
    assert judge.log.count("own handler") == 2


async def test_a_handler_that_is_the_loop_s_is_named_as_lost(start_local: StartLocal) -> None:
    async with start_local("signalled:app", WHERE="loop") as judge:
        await judge.invoke(url_event("/hello"))
    assert judge.log.count("handler of SIGTERM with loop.add_signal_handler") == 1
    assert "lifespan shutdown" in judge.log
    assert "own handler" not in judge.log


async def test_a_handler_that_fails_is_reported(start_local: StartLocal) -> None:
    async with start_local("signalled:app", WHERE="import", FAILS="1") as judge:
        await judge.invoke(url_event("/hello"))
    assert "The application's handler of SIGTERM failed." in judge.log
    assert "ValueError: odd" in judge.log


FORKING = """
import asyncio, os, sys

async def app(scope, receive, send):
    async def in_a_task():
        pid = os.fork()
        if pid == 0:
            sys.exit(6)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    status = await asyncio.ensure_future(in_a_task())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % status})
"""


async def test_a_child_that_exits_in_a_task_has_its_own_status(
    opt: Path, python: Python, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(FORKING)
    variables = {"ASGI_APP": "main:app", "ASGI_LIFESPAN": "off"}
    async with LocalJudge(opt, python.path, tmp_path, variables) as judge:
        assert (await judge.invoke(url_event("/"))).content == 6
