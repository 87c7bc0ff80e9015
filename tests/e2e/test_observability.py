"""The real libraries of observability beside an application; docs/observability.md is the page.

A collector in the test takes what they send. Environments freeze with their answer, and every
library here would send later if nobody asked it to: what arrives has arrived before the freeze.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge
from tests.e2e.observed import (
    APPLICATION,
    OTEL_WRAPPER,
    PROJECT,
    Collector,
    frozen,
    judge_of,
    under_awslambdaric,
    write,
)
from tests.e2e.packages import USUAL, awslambdaric, installed
from tests.events import url_event

pytestmark = pytest.mark.anyio


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
    judge = judge_of(opt, tmp_path, environ)
    async with judge:
        for number, path in enumerate(("/items/5", "/stream", "/items/6"), start=1):
            assert b"statusCode" in (await judge.invoke(url_event(path))).payload
            await frozen(judge, number)
            assert collector.count("/v1/traces", b"GET /items/{item}") > 0
            assert (collector.count("/v1/traces", b"GET /stream") > 0) == (number > 1)
    assert "cut off" not in judge.log


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_fastapi_s_own_telemetry_arrives_before_the_freeze(
    opt: Path, tmp_path: Path, collector: Collector, mode: str
) -> None:
    """It makes the exporters in lifespan startup, and needs neither a wrapper nor a layer."""
    packages = installed(USUAL, "fastapi-opentelemetry", "fastapi[opentelemetry]")
    write(tmp_path, {"main.py": APPLICATION}, packages)
    environ = {
        "ASGI_APP": "main:app",
        "ASGI_INVOKE_MODE": mode,
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
    }
    async with LocalJudge(opt, USUAL.path, tmp_path, environ, timeout=30.0) as judge:
        for number, path in enumerate(("/items/5", "/stream"), start=1):
            await judge.invoke(url_event(path))
            await frozen(judge, number)
            assert (collector.count("/v1/traces", b"GET /stream") > 0) == (number == 2), judge.log
            assert (collector.count("/v1/metrics", b"/stream") > 0) == (number == 2), judge.log
    assert collector.count("/v1/traces", b"GET /items/{item}") > 0


async def test_opentelemetry_s_spans_of_django(
    opt: Path, tmp_path: Path, collector: Collector
) -> None:
    """Its instrumentation puts a middleware into the settings, which it imports by their name."""
    packages = installed(
        USUAL, "opentelemetry-django", "opentelemetry-distro", "django",
        "opentelemetry-exporter-otlp-proto-http", "opentelemetry-instrumentation-django",
        "opentelemetry-instrumentation-asgi",
    )  # fmt: skip
    write(tmp_path, PROJECT)
    environ = {
        **_otel(opt, collector),
        "OTEL_PACKAGES": str(packages),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "ASGI_APP": "shop.asgi:application",
        "ASGI_EXEC_WRAPPER": str(FUNCTION / "otel-instrument"),
    }
    judge = judge_of(opt, tmp_path, environ)
    async with judge:
        assert (await judge.invoke(url_event("/items/5"))).result["body"] == "5"
        await frozen(judge, 1)
        assert collector.count("/v1/traces", b"GET items/<item>") > 0, judge.log


@pytest.mark.parametrize("disabled", ["aws-lambda", ""])
async def test_opentelemetry_around_the_one_line(
    opt: Path, tmp_path: Path, collector: Collector, disabled: str
) -> None:
    """Its automatic instrumentation of handlers cannot resolve the name: what to switch off."""
    (tmp_path / "main.py").write_text(APPLICATION)
    (tmp_path / "otel_wrapper.py").write_text(OTEL_WRAPPER)
    ric = awslambdaric(USUAL)
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
        await frozen(judge, 1)
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
    write(tmp_path, {"main.py": SENTRY}, packages)
    environ = {
        "ASGI_APP": "main:app",
        "ASGI_INVOKE_MODE": mode,
        "SENTRY_DSN": f"http://key@{collector.address}/1",
    }
    async with LocalJudge(opt, USUAL.path, tmp_path, environ, timeout=30.0) as judge:
        await judge.invoke(url_event("/error"))
        await frozen(judge, 1)
        assert collector.count("/api/1/envelope/", b"the price is wrong") > 0
        await judge.invoke(url_event("/stream"))
        await frozen(judge, 2)
        assert collector.count("/api/1/envelope/", b'"transaction":"/stream"') > 0


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
    log = await under_awslambdaric(
        opt, tmp_path, packages, "traced.handler", NEW_RELIC_SERVERLESS_MODE_ENABLED="true",
        NEW_RELIC_ACCOUNT_ID="1", NEW_RELIC_LICENSE_KEY="key",
    )  # fmt: skip
    assert '"NR_LAMBDA_MONITORING"' in log
