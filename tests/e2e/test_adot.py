"""AWS's distribution of OpenTelemetry (ADOT), under what its layer's wrapper script sets.

By itself it sends to the X-Ray daemon, by UDP, a few seconds later.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge
from tests.e2e.observed import (
    APPLICATION,
    OTEL_WRAPPER,
    PROJECT,
    Collector,
    Span,
    frozen,
    judge_of,
    spans_in,
    write,
)
from tests.e2e.packages import USUAL, awslambdaric, installed
from tests.events import url_event

pytestmark = pytest.mark.anyio

ON = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "starlette"}
"""What turns the instrumentation of frameworks on: any value takes the place of AWS's list."""


class Daemon:
    """The X-Ray daemon: takes datagrams of a line of JSON, a mark, and OTLP in base64."""

    def __init__(self) -> None:
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = "{}:{}".format(*self._socket.getsockname())
        self._spans: list[Span] = []

    @property
    def spans(self) -> dict[str, Span]:
        """The spans of sampled traces that have come so far, by name."""
        while True:
            try:
                datagram = self._socket.recv(65536)
            except BlockingIOError:
                return {span.name: span for span in self._spans}
            head, _, data = datagram.partition(b"\nT1S")
            assert head == b'{"format":"json","version":1}'
            self._spans += spans_in(base64.b64decode(data))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    daemon.close()


def make_function(root: Path, framework: str, files: dict[str, str]) -> None:
    """A function's folder, as its wrapper script puts it before the layer's: with FastAPI comes
    opentelemetry-api, whose version has to be the layer's."""
    (api,) = layer().glob("opentelemetry_api-*.dist-info")
    version = api.name.removeprefix("opentelemetry_api-").removesuffix(".dist-info")
    pinned = f"opentelemetry-api=={version}"
    write(root, files, installed(USUAL, f"adot-{framework}", framework, pinned))


def layer() -> Path:
    """What AWS's layer has in /opt/python."""
    return installed(USUAL, "adot", "aws-opentelemetry-distro")


def environ_of(opt: Path, daemon: Daemon, **environ: str) -> dict[str, str]:
    """The function's variables."""
    return {
        "OTEL_PACKAGES": str(layer()),
        "LAYER": str(opt),
        "AWS_XRAY_DAEMON_ADDRESS": daemon.address,
        "ASGI_EXEC_WRAPPER": str(FUNCTION / "adot-instrument"),
        "ASGI_APP": "main:app",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",  # by itself it would send in an hour
        **environ,
    }


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_spans_of_fastapi_reach_the_daemon_before_the_freeze(
    opt: Path, tmp_path: Path, daemon: Daemon, mode: str
) -> None:
    make_function(tmp_path, "fastapi", {"main.py": APPLICATION})
    environ = environ_of(opt, daemon, ASGI_INVOKE_MODE=mode, **ON)
    async with judge_of(opt, tmp_path, environ) as judge:
        for number, path in enumerate(("/items/5", "/stream"), start=1):
            assert b"statusCode" in (await judge.invoke(url_event(path))).payload
            await frozen(judge, number)
            assert "GET /items/{item}" in daemon.spans, judge.log
            assert ("GET /stream" in daemon.spans) == (number == 2), judge.log
    assert "fastapi.endpoint" not in daemon.spans, "nothing is traced twice"
    assert "cut off" not in judge.log


async def test_spans_reach_another_receiver_before_the_freeze(
    opt: Path, tmp_path: Path, daemon: Daemon, collector: Collector
) -> None:
    make_function(tmp_path, "fastapi", {"main.py": APPLICATION})
    environ = environ_of(
        opt, daemon, ASGI_INVOKE_MODE="response_stream",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"http://{collector.address}/v1/traces", **ON,
    )  # fmt: skip
    async with judge_of(opt, tmp_path, environ) as judge:
        await judge.invoke(url_event("/stream"))
        await frozen(judge, 1)
        assert collector.count("/v1/traces", b"GET /stream") > 0, judge.log
    assert not daemon.spans


@pytest.mark.parametrize("variables", [{}, ON])
async def test_aws_s_list_turns_django_off(
    opt: Path, tmp_path: Path, daemon: Daemon, variables: dict[str, str]
) -> None:
    make_function(tmp_path, "django", PROJECT)
    environ = environ_of(
        opt, daemon, ASGI_INVOKE_MODE="response_stream",
        ASGI_APP="shop.asgi:application", DJANGO_SETTINGS_MODULE="shop.settings", **variables,
    )  # fmt: skip
    async with judge_of(opt, tmp_path, environ) as judge:
        assert (await judge.invoke(url_event("/items/5"))).streamed()[1] == b"5"
        await frozen(judge, 1)
        assert ("GET items/<item>" in daemon.spans) == bool(variables), judge.log


async def test_a_request_s_span_is_below_the_function_s_in_x_ray(
    opt: Path, tmp_path: Path, daemon: Daemon
) -> None:
    """Where the setting says so; by FastAPI itself here, whatever AWS's list turns off."""
    make_function(tmp_path, "fastapi", {"main.py": APPLICATION})
    environ = environ_of(opt, daemon, ASGI_TRACEPARENT="on")
    async with judge_of(opt, tmp_path, environ) as judge:
        root = f"Root=1-{1:08x}-{2:024x}"  # all that a front door's header has without tracing
        event = url_event("/items/5", x_amzn_trace_id=root)
        trace = f"{root};Parent={3:016x};Sampled=1"
        await judge.environment.invoke(event, trace_id=trace)
        await frozen(judge, 1)
        span = daemon.spans["GET /items/{item}"]
    assert (span.trace_id, span.parent_id) == (f"{1:08x}{2:024x}", f"{3:016x}")


def around_awslambdaric(
    opt: Path, root: Path, daemon: Daemon, handler: str, **environ: str
) -> LocalJudge:
    """A function whose one wrapper script is AWS's, as on the handler way and on the one line."""
    make_function(root, "fastapi", {"main.py": APPLICATION, "otel_wrapper.py": OTEL_WRAPPER})
    ric = awslambdaric(USUAL)
    environ = environ_of(opt, daemon, PYTHONPATH=f"{root}:{ric}", **ON, **environ)
    start = "import os, awslambdaric.__main__ as ric; ric.main(['', os.environ['_HANDLER']])"
    return LocalJudge(
        opt, USUAL.path, root, environ, wrapper=None, timeout=30.0, init_timeout=60.0,
        handler=handler, command=(environ.pop("ASGI_EXEC_WRAPPER"), USUAL.path, "-c", start),
    )  # fmt: skip


async def test_on_the_handler_way_an_invocation_is_a_span(
    opt: Path, tmp_path: Path, daemon: Daemon
) -> None:
    """There its instrumentation of handlers flushes."""
    async with around_awslambdaric(opt, tmp_path, daemon, "lamella.handler") as judge:
        assert (await judge.invoke(url_event("/items/5"))).content == {"item": "5"}
        await frozen(judge, 1)
        invocation, request = daemon.spans["local"], daemon.spans["GET /items/{item}"]
    assert request.parent_id == invocation.span_id


async def test_around_the_one_line(opt: Path, tmp_path: Path, daemon: Daemon) -> None:
    handler, streamed = "lamella.serve.main:app", {"ASGI_INVOKE_MODE": "response_stream"}
    async with around_awslambdaric(opt, tmp_path, daemon, handler, **streamed) as judge:
        payload = (await judge.invoke(url_event("/stream"))).payload
        assert payload.endswith(b"part 0 part 1 part 2 "), judge.log
        await frozen(judge, 1)
        assert "GET /stream" in daemon.spans, judge.log
