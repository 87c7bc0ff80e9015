"""The one-line way in: `Handler: lamella.serve.bare:app` under AWS's runtime, on every Python."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from lamella.local.execution.environment import EnvironmentState
from layer.pythons import Python
from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge, under_awslambdaric
from tests.events import SQS_EVENT, http_event, rest_event, url_event

pytestmark = pytest.mark.anyio


class Start(Protocol):
    def __call__(
        self, handler: str = ..., options: dict[str, Any] | None = ..., **environ: str
    ) -> AbstractAsyncContextManager[LocalJudge]: ...


@pytest.fixture
def start(opt: Path, python: Python) -> Start:
    @asynccontextmanager
    async def start(
        handler: str = "lamella.serve.bare:app",
        options: dict[str, Any] | None = None,
        **environ: str,
    ) -> AsyncIterator[LocalJudge]:
        judge = under_awslambdaric(opt, python, FUNCTION, handler, environ, **options or {})
        async with judge:
            yield judge

    return start


async def test_one_process_one_lifespan_many_invocations(start: Start) -> None:
    async with start() as judge:
        outcomes = [await judge.invoke(e) for e in (url_event("/hello"), http_event("/hello"))]
        outcomes += [await judge.invoke(rest_event("/hello")) for _ in range(3)]
        assert (await judge.invoke(SQS_EVENT)).result == {"got": SQS_EVENT}
    assert {outcome.content["started"] for outcome in outcomes} == {1}
    assert len({outcome.content["pid"] for outcome in outcomes}) == 1
    assert "lifespan shutdown" in judge.log, "its extension is registered, so SIGTERM comes"


async def test_it_streams_and_answers_before_the_work_ends(start: Start, tmp_path: Path) -> None:
    go = tmp_path / "go"
    async with start(ASGI_INVOKE_MODE="response_stream") as judge:
        result = await judge.environment.invoke(url_event("/ticks"))
        (post,) = judge.environment.traffic.matching("POST", "/response")
        answer = await judge.environment.open(url_event("/held", query=str(go)))
        assert b"accepted" in b"".join([piece async for piece in answer])
        assert judge.environment.state is EnvironmentState.BUSY, "the work goes on"
        go.touch()
        await answer.finished()
    assert result.streamed
    assert len(post.chunks) > 2


async def test_a_wrapper_that_renames_the_handler(start: Start) -> None:
    """As opentelemetry's does: the original is in a variable of the wrapper's own."""
    async with start("wrapping.handler", ORIG_HANDLER="lamella.serve.bare:app") as judge:
        assert (await judge.invoke(url_event("/hello"))).result["statusCode"] == 200


async def test_asgi_app_counts_before_the_handler(start: Start) -> None:
    async with start("lamella.serve.nowhere:app", ASGI_APP="bare:app") as judge:
        assert (await judge.invoke(url_event("/hello"))).result["statusCode"] == 200


async def test_an_import_error_has_its_own_type_and_frames(start: Start) -> None:
    async with start("lamella.serve.nowhere:app") as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "Runtime.ImportModuleError"
    assert "there is no module 'nowhere'" in failure.message
    assert "awslambdaric" not in judge.log


async def test_garbage_is_collected_again_after_the_import(start: Start) -> None:
    async with start("lamella.serve.collecting:app") as judge:
        content = (await judge.invoke(url_event("/"))).content
    assert content == {"in import": 0, "collects": True, "keeps": True}


async def test_a_log_record_is_written_once_with_its_request_id(start: Start) -> None:
    async with start(AWS_LAMBDA_LOG_LEVEL="INFO", AWS_LAMBDA_LOG_FORMAT="JSON") as judge:
        outcome = await judge.invoke(url_event("/crash"))
    assert outcome.result["statusCode"] == 500
    records = [json.loads(line) for line in judge.log.splitlines() if line.startswith("{")]
    errors = [record for record in records if record.get("level") == "ERROR"]
    assert len(errors) == 1
    assert re.fullmatch(r"[0-9a-f-]{36}", errors[0]["requestId"])


async def test_managed_instances_have_a_process_for_each_slot(start: Start) -> None:
    async with start(options={"concurrency": 2, "timeout": 6.0}) as judge:
        outcomes = await asyncio.gather(*(judge.invoke(url_event("/hello")) for _ in range(8)))
    assert len({outcome.content["pid"] for outcome in outcomes}) == 2
    assert judge.log.count("With the layer and AWS_LAMBDA_EXEC_WRAPPER=/opt/bootstrap") == 2


def test_imported_by_anybody_else_it_does_nothing() -> None:
    """With every variable of Lambda's set."""
    environ = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9", "_HANDLER": "lamella.serve.main:app"}
    program = "import lamella.serve; print(0)"
    src = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environ | {"PYTHONPATH": str(src)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
