"""The real libraries of observability beside an application; docs/observability.md is the page.

A collector in the test takes what they send. Environments freeze with their answer, and every
library here would send later if nobody asked it to: what arrives has arrived before the freeze.
"""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import USUAL, installed
from tests.events import url_event
from tests.waiting import until

pytestmark = pytest.mark.anyio

APPLICATION = """
import asyncio

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/items/{item}")
async def item(item: str):
    return {"item": item}


@app.get("/stream")
async def stream():
    async def parts():
        for number in range(3):
            yield f"part {number} "
            await asyncio.sleep(0.05)

    return StreamingResponse(parts())


@app.get("/error")
async def error():
    raise RuntimeError("the price is wrong")
"""


class Collector:
    """Takes every POST and PUT on a port of loopback: `received` has path and body of each."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.received.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            do_PUT = do_POST

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def count(self, path: str, text: bytes) -> int:
        """How often a text has come to a path."""
        return sum(body.count(text) for at, body in self.received if at == path)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def _otel(opt: Path, collector: Collector) -> dict[str, str]:
    """The variables of a function with OpenTelemetry's packages."""
    packages = installed(
        USUAL, "opentelemetry-otlp", "opentelemetry-distro", "fastapi",
        "opentelemetry-exporter-otlp-proto-http", "opentelemetry-instrumentation-aws-lambda",
        "opentelemetry-instrumentation-fastapi",
    )  # fmt: skip
    return {
        "OTEL_PACKAGES": str(packages),
        "LAYER": str(opt),
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",  # by itself it would send in an hour
    }


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_opentelemetry_s_spans_arrive_before_the_freeze(
    opt: Path, tmp_path: Path, collector: Collector, mode: str
) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    environ = {
        **_otel(opt, collector),
        "ASGI_APP": "main:app",
        "ASGI_INVOKE_MODE": mode,
        "ASGI_EXEC_WRAPPER": str(FUNCTION / "otel-instrument"),
    }
    judge = LocalJudge(opt, USUAL.path, tmp_path, environ, timeout=30.0, init_timeout=60.0)
    async with judge:
        for number, path in enumerate(("/items/5", "/stream", "/items/6"), start=1):
            assert b"statusCode" in (await judge.invoke(url_event(path))).payload
            await _frozen(judge, number)
            assert collector.count("/v1/traces", b"GET /items/{item}") > 0
            assert (collector.count("/v1/traces", b"GET /stream") > 0) == (number > 1)
    assert "cut off" not in judge.log


URLS = """
from django.http import HttpResponse
from django.urls import path


async def item(request, item):
    return HttpResponse(item)


urlpatterns = [path("items/<item>", item)]
"""

PROJECT = {
    "shop/__init__.py": "",
    "shop/settings.py": "ALLOWED_HOSTS = ['*']\nROOT_URLCONF = 'shop.urls'\nSECRET_KEY = 'x'\n",
    "shop/urls.py": URLS,
    "shop/asgi.py": "from django.core.asgi import get_asgi_application\n"
    "application = get_asgi_application()\n",
}


async def test_opentelemetry_s_spans_of_django(
    opt: Path, tmp_path: Path, collector: Collector
) -> None:
    """Its instrumentation puts a middleware into the settings, which it imports by their name."""
    packages = installed(
        USUAL, "opentelemetry-django", "opentelemetry-distro", "django",
        "opentelemetry-exporter-otlp-proto-http", "opentelemetry-instrumentation-django",
        "opentelemetry-instrumentation-asgi",
    )  # fmt: skip
    (tmp_path / "shop").mkdir()
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    environ = {
        **_otel(opt, collector),
        "OTEL_PACKAGES": str(packages),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "ASGI_APP": "shop.asgi:application",
        "ASGI_EXEC_WRAPPER": str(FUNCTION / "otel-instrument"),
    }
    judge = LocalJudge(opt, USUAL.path, tmp_path, environ, timeout=30.0, init_timeout=60.0)
    async with judge:
        assert (await judge.invoke(url_event("/items/5"))).result["body"] == "5"
        await _frozen(judge, 1)
        assert collector.count("/v1/traces", b"GET items/<item>") > 0, judge.log


OTEL_WRAPPER = """
import os
from importlib import import_module

from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor

AwsLambdaInstrumentor().instrument()
module, _, name = os.environ["ORIG_HANDLER"].rpartition(".")
lambda_handler = getattr(import_module(module), name)
"""


@pytest.mark.parametrize("disabled", ["aws-lambda", ""])
async def test_opentelemetry_around_the_one_line(
    opt: Path, tmp_path: Path, collector: Collector, disabled: str
) -> None:
    """Its automatic instrumentation of handlers cannot resolve the name: what to switch off."""
    (tmp_path / "main.py").write_text(APPLICATION)
    (tmp_path / "otel_wrapper.py").write_text(OTEL_WRAPPER)
    ric = installed(USUAL, "awslambdaric", "awslambdaric==4.2.2")
    environ = _otel(opt, collector)
    environ |= {
        "ASGI_INVOKE_MODE": "response_stream",
        "OTEL_PYTHON": USUAL.path,
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled,
        "PYTHONPATH": f"{tmp_path}:{environ['OTEL_PACKAGES']}:{opt}/python:{ric}",
    }
    judge = LocalJudge(
        opt, USUAL.path, tmp_path, environ, wrapper=None, timeout=30.0, init_timeout=60.0,
        handler="lamella.serve.main:app", command=(str(FUNCTION / "otel-instrument-runtime"),),
    )  # fmt: skip
    async with judge:
        payload = (await judge.invoke(url_event("/stream"))).payload
        await _frozen(judge, 1)
        if disabled:
            assert payload.endswith(b"part 0 part 1 part 2 ")
            assert collector.count("/v1/traces", b"GET /stream") > 0
        else:
            assert b"unable to resolve attribute 'main:app'" in payload


SENTRY = f"""
import os
import sentry_sdk
sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], traces_sample_rate=1.0)
{APPLICATION}
"""


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_sentry_s_events_and_transactions_arrive_before_the_freeze(
    opt: Path, tmp_path: Path, collector: Collector, mode: str
) -> None:
    packages = installed(USUAL, "sentry", "sentry-sdk", "fastapi")
    for entry in packages.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "main.py").write_text(SENTRY)
    environ = {
        "ASGI_APP": "main:app",
        "ASGI_INVOKE_MODE": mode,
        "SENTRY_DSN": f"http://key@{collector.address}/1",
    }
    async with LocalJudge(opt, USUAL.path, tmp_path, environ, timeout=30.0) as judge:
        await judge.invoke(url_event("/error"))
        await _frozen(judge, 1)
        assert collector.count("/api/1/envelope/", b"the price is wrong") > 0
        await judge.invoke(url_event("/stream"))
        await _frozen(judge, 2)
        assert collector.count("/api/1/envelope/", b'"transaction":"/stream"') > 0


async def test_datadog_s_handler_wraps_lamella_s(opt: Path, tmp_path: Path) -> None:
    """Without Datadog's extension its traces go to the log, for its forwarder."""
    packages = installed(USUAL, "datadog", "datadog-lambda", "fastapi")
    (tmp_path / "main.py").write_text(APPLICATION)
    log = await _under_awslambdaric(
        opt, tmp_path, packages, "datadog_lambda.handler.handler",
        DD_LAMBDA_HANDLER="lamella.handler", DD_TRACE_ENABLED="true", DD_FLUSH_TO_LOG="true",
    )  # fmt: skip
    assert re.search(r'\{"traces": ?\[\[.*"name": ?"aws\.lambda"', log), log
    assert re.search(r'"traces".*"name": ?"fastapi\.request"', log), "the application's own span"


NEW_RELIC = """
import newrelic.agent

newrelic.agent.initialize()

from newrelic_lambda.lambda_handler import lambda_handler

import lamella
from main import app

handler = lambda_handler()(lamella.Adapter(app))
"""


async def test_new_relic_s_handler_around_an_adapter(opt: Path, tmp_path: Path) -> None:
    """In its serverless mode the agent writes its data into the log."""
    packages = installed(USUAL, "newrelic", "newrelic-lambda", "fastapi")
    (tmp_path / "traced.py").write_text(NEW_RELIC)
    (tmp_path / "main.py").write_text(APPLICATION)
    log = await _under_awslambdaric(
        opt, tmp_path, packages, "traced.handler", NEW_RELIC_SERVERLESS_MODE_ENABLED="true",
        NEW_RELIC_ACCOUNT_ID="1", NEW_RELIC_LICENSE_KEY="key",
    )  # fmt: skip
    assert '"NR_LAMBDA_MONITORING"' in log


async def _under_awslambdaric(
    opt: Path, root: Path, packages: Path, handler: str, **environ: str
) -> str:
    """The log after one request on the handler way."""
    ric = installed(USUAL, "awslambdaric", "awslambdaric==4.2.2")
    variables = {
        "ASGI_APP": "main:app",
        "PYTHONPATH": f"{root}:{packages}:{opt}/python:{ric}",
        **environ,
    }
    command = (USUAL.path, "-m", "awslambdaric", handler)
    judge = LocalJudge(
        opt, USUAL.path, root, variables, wrapper=None, command=command, timeout=30.0,
        init_timeout=60.0,
    )  # fmt: skip
    async with judge:
        assert (await judge.invoke(url_event("/items/5"))).content == {"item": "5"}
        await _frozen(judge, 1)
    return judge.log


async def _frozen(judge: LocalJudge, invocations: int) -> None:
    """The environment has served so many, and asked for the next one."""
    await until(lambda: judge.log.count("REPORT RequestId") == invocations)
