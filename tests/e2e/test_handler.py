"""The handler way: `Handler: lamella.handler` under AWS's own awslambdaric, on every Python."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from layer.pythons import Python
from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge, under_awslambdaric
from tests.events import SQS_EVENT, http_event, rest_event, url_event

pytestmark = pytest.mark.anyio


class Start(Protocol):
    def __call__(
        self, handler: str = ..., **environ: str
    ) -> AbstractAsyncContextManager[LocalJudge]: ...


@pytest.fixture
def start(opt: Path, python: Python) -> Start:
    @asynccontextmanager
    async def start(handler: str = "lamella.handler", **environ: str) -> AsyncIterator[LocalJudge]:
        variables = {"ASGI_APP": "bare:app", **environ}
        async with under_awslambdaric(opt, python, FUNCTION, handler, variables) as judge:
            yield judge

    return start


async def test_one_process_one_lifespan_many_invocations(start: Start) -> None:
    async with start() as judge:
        outcomes = [await judge.invoke(e) for e in (url_event("/hello"), http_event("/hello"))]
        outcomes += [await judge.invoke(rest_event("/hello")) for _ in range(3)]
        assert (await judge.invoke(SQS_EVENT)).result == {"got": SQS_EVENT}
    assert {outcome.content["started"] for outcome in outcomes} == {1}
    assert len({outcome.content["pid"] for outcome in outcomes}) == 1


async def test_garbage_is_collected_again_after_the_import(start: Start) -> None:
    async with start(ASGI_APP="collecting:app") as judge:
        content = (await judge.invoke(url_event("/"))).content
    assert content == {"in import": 0, "collects": True, "keeps": True}


async def test_the_result_waits_for_the_application(start: Start) -> None:
    async with start() as judge:
        assert (await judge.invoke(url_event("/job"))).result["statusCode"] == 202
        assert (await judge.invoke(url_event("/results"))).content == ["background", "task"]


async def test_errors_leave_the_environment_whole(start: Start) -> None:
    async with start() as judge:
        first = await judge.invoke(url_event("/hello"))
        assert (await judge.invoke(url_event("/crash"))).result["statusCode"] == 500
        assert (await judge.invoke({"fail": True})).error_type == "InvocationError"
        assert (await judge.invoke(url_event("/large"))).result["statusCode"] == 500
        assert (await judge.invoke(url_event("/hello"))).content["pid"] == first.content["pid"]


async def test_streaming_is_not_asked_of_it(start: Start) -> None:
    async with start(ASGI_INVOKE_MODE="response_stream") as judge:
        result = (await judge.invoke(url_event("/ticks"))).result
    assert result["body"] == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_an_init_error_says_what_to_change(start: Start) -> None:
    async with start(ASGI_APP="nowhere:app") as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "AppImportError"
    assert "there is no module 'nowhere'" in failure.message


@pytest.mark.parametrize("handler", ["library.handler", "library.wrapped"])
async def test_the_library_way(start: Start, handler: str) -> None:
    async with start(handler) as judge:
        outcome = await judge.invoke(url_event("/api/hello"))
        assert (outcome.result["statusCode"], outcome.content["started"]) == (200, 1)
        assert (await judge.invoke(url_event("/api/hello"))).result["statusCode"] == 200
