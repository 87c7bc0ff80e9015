"""OpenTelemetry's own wrapper as ASGI_EXEC_WRAPPER: it instruments, and the function serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layer.pythons import Python
from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import installed
from tests.events import url_event

pytestmark = pytest.mark.anyio

PACKAGES = (
    "opentelemetry-distro",
    "opentelemetry-instrumentation-aws-lambda",
    "opentelemetry-instrumentation-starlette",
    "starlette",
)

APPLICATION = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

print("imported", flush=True)

async def item(request):
    return PlainTextResponse("ok")

app = Starlette(routes=[Route("/items/{item}", item)])
"""


@pytest.mark.parametrize("handler", ["lamella.handler", "unused", "main.app", "main:app"])
async def test_it_instruments_and_serves(
    opt: Path, python: Python, tmp_path: Path, handler: str
) -> None:
    """`lamella.handler` is what README and examples show; the rest is what else is in use."""
    packages = installed(python, "opentelemetry", *PACKAGES)
    (tmp_path / "main.py").write_text(APPLICATION)
    environ = {
        "ASGI_EXEC_WRAPPER": str(FUNCTION / "otel-instrument"),
        "OTEL_PACKAGES": str(packages),
        "LAYER": str(opt),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    if handler != "main:app":
        environ["ASGI_APP"] = "main:app"
    options: Any = {"timeout": 30.0, "handler": handler, "init_timeout": 60.0}
    async with LocalJudge(opt, python.path, tmp_path, environ, **options) as judge:
        assert (await judge.invoke(url_event("/items/5"))).result["body"] == "ok"
    assert '"name": "GET /items/{item}"' in judge.log, "a span of its own instrumentation"
    assert '"service.name"' in judge.log
    assert "Failed to auto initialize" not in judge.log
    assert judge.log.count("imported") == 1
