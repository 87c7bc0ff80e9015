"""Datadog's libraries, with and without its extension; docs/observability.md is the page."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from tests.e2e.observed import (
    APPLICATION,
    Collector,
    frozen,
    judge_of,
    under_awslambdaric,
    write,
)
from tests.e2e.packages import USUAL, installed
from tests.events import url_event

pytestmark = pytest.mark.anyio


EXTENSION = """
import os

exists = os.path.exists
os.path.exists = lambda path: path == "/opt/extensions/datadog-agent" or exists(path)
"""
"""Where that file is, Datadog's libraries take its extension to be there, and send at once."""

TRACES = "/v0.5/traces"
START, END = "/lambda/start-invocation", "/lambda/end-invocation"


def function(root: Path, collector: Collector, mode: str) -> dict[str, str]:
    """A function with ddtrace, and its variables; the collector is Datadog's extension."""
    write(
        root,
        {"main.py": f"{EXTENSION}\nimport ddtrace.auto\n{APPLICATION}"},
        installed(USUAL, "datadog", "datadog-lambda", "fastapi"),
    )
    return {
        "ASGI_APP": "main:app",
        "ASGI_INVOKE_MODE": mode,
        "ASGI_DATADOG_EXTENSION": collector.address,
        "DD_TRACE_AGENT_URL": f"http://{collector.address}",
        "DD_TRACE_API_VERSION": "v0.5",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    }


def children(traces: bytes, trace_id: str, parent_id: str) -> int:
    """How many spans have this trace and this parent: in MessagePack, three integers of 64 bits."""
    trace, parent = (b"\xcf" + int(each).to_bytes(8) for each in (trace_id, parent_id))
    pattern = re.escape(trace) + b"\xcf.{8}" + re.escape(parent)
    return len(re.findall(pattern, traces, re.DOTALL))


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_spans_of_ddtrace_are_below_the_extension_s(
    opt: Path, tmp_path: Path, collector: Collector, mode: str
) -> None:
    environ = function(tmp_path, collector, mode)
    judge = judge_of(opt, tmp_path, environ)
    async with judge:
        for number, path in enumerate(("/items/5", "/stream"), start=1):
            await judge.invoke(url_event(path))
            await frozen(judge, number)
            traces, ends = collector.at(TRACES), collector.at(END)
            assert [len(traces), len(ends)] == [number, number], judge.log
            headers = ends[-1].headers
            ids = headers["x-datadog-trace-id"], headers["x-datadog-span-id"]
            assert children(traces[-1].body, *ids) == 1


async def test_spans_of_ddtrace_are_in_the_caller_s_trace(
    opt: Path, tmp_path: Path, collector: Collector
) -> None:
    trace_id = str(2**62 + 7)
    told = {"x-datadog-trace-id": trace_id, "x-datadog-sampling-priority": "2"}
    collector.answers[START] = told | {"x-datadog-tags": "_dd.p.tid=6b0bb97e00000000"}
    environ = function(tmp_path, collector, "response_stream")
    judge = judge_of(opt, tmp_path, environ)
    async with judge:
        caller = f"00-6b0bb97e00000000{int(trace_id):016x}-{8:016x}-01"
        await judge.invoke(url_event("/items/5", traceparent=caller))
        await frozen(judge, 1)
        (end,), (traces,) = collector.at(END), collector.at(TRACES)
        assert end.headers["x-datadog-trace-id"] == trace_id
        assert children(traces.body, trace_id, end.headers["x-datadog-span-id"]) == 1
        assert b"6b0bb97e00000000" in traces.body


async def test_a_stream_that_breaks_off_is_told_with_its_error(
    opt: Path, tmp_path: Path, collector: Collector
) -> None:
    """The client got a 200, so the status alone would say that all went well."""
    environ = function(tmp_path, collector, "response_stream")
    judge = judge_of(opt, tmp_path, environ)
    async with judge:
        assert (await judge.invoke(url_event("/broken"))).payload.endswith(b"part 0")
        await frozen(judge, 1)
        (end,) = collector.at(END)
    assert end.body == b'{"statusCode": 200}'
    assert end.headers["x-datadog-invocation-error"] == "true"
    error = [end.headers[f"x-datadog-invocation-error-{part}"] for part in ("type", "msg")]
    assert [base64.b64decode(e) for e in error] == [b"RuntimeError", b"the price is wrong"]


@pytest.mark.parametrize("has_extension", [False, True])
async def test_datadog_s_handler_wraps_lamella_s(
    opt: Path, tmp_path: Path, collector: Collector, has_extension: bool
) -> None:
    """Its traces go to the extension, and without one to the log, for its forwarder."""
    packages = installed(USUAL, "datadog", "datadog-lambda", "fastapi")
    files = {"main.py": APPLICATION, "sitecustomize.py": EXTENSION if has_extension else ""}
    write(tmp_path, files)
    agent = {"DD_TRACE_AGENT_URL": f"http://{collector.address}"} if has_extension else {}
    log = await under_awslambdaric(
        opt, tmp_path, packages, "datadog_lambda.handler.handler",
        DD_LAMBDA_HANDLER="lamella.handler", DD_TRACE_ENABLED="true",
        DD_TRACE_API_VERSION="v0.5", DD_FLUSH_TO_LOG=str(not has_extension), **agent,
    )  # fmt: skip
    if has_extension:
        assert collector.count(TRACES, b"aws.lambda") > 0, log
        assert collector.count(TRACES, b"fastapi.request") > 0, log
    else:
        assert re.search(r'\{"traces": ?\[\[.*"name": ?"aws\.lambda"', log), log
        assert re.search(r'"traces".*"name": ?"fastapi\.request"', log), "the application's span"
