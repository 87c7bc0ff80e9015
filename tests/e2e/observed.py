"""What the tests of observability share: the applications, and who takes what is sent.

Environments freeze with their answer, and every library here would send later if nobody asked it
to: what is here when the next event is asked for has arrived before the freeze.
"""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Mapping
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from tests.e2e import judges
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import USUAL
from tests.events import url_event
from tests.waiting import until

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


@app.get("/broken")
async def broken():
    async def parts():
        yield "part 0"
        await asyncio.sleep(0.1)
        raise RuntimeError("the price is wrong")

    return StreamingResponse(parts())
"""


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


OTEL_WRAPPER = """
import os
from importlib import import_module

from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor

AwsLambdaInstrumentor().instrument()
module, _, name = os.environ["ORIG_HANDLER"].rpartition(".")
lambda_handler = getattr(import_module(module), name)
"""


class Received(NamedTuple):
    """A request that has come."""

    path: str
    headers: Message
    body: bytes


class Collector:
    """Takes every POST and PUT on a port of loopback. `answers` has headers by path."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: dict[str, dict[str, str]] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.received.append(Received(self.path, self.headers, body))
                self.send_response(200)
                for name, text in collector.answers.get(self.path, {}).items():
                    self.send_header(name, text)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_PUT = do_POST

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def count(self, path: str, text: bytes) -> int:
        """How often a text has come to a path."""
        return sum(each.body.count(text) for each in self.at(path))

    def at(self, path: str) -> list[Received]:
        """What has come to a path."""
        return [each for each in self.received if each.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Span(NamedTuple):
    """A span of OpenTelemetry; ids in hex, `parent_id` empty for none."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str


_SPAN = re.compile(  # trace_id, span_id, parent_span_id and the length of the name, in this order
    rb"\x0a\x10(.{16})\x12\x08(.{8})(?:\x22\x08(.{8}))?\x2a(.)", re.DOTALL
)


def spans_in(data: bytes) -> list[Span]:
    """The spans in OTLP's protobuf, whose names are shorter than 128 bytes and have no state.

    https://github.com/open-telemetry/opentelemetry-proto: opentelemetry/proto/trace/v1/trace.proto
    """
    found = []
    for match in _SPAN.finditer(data):
        trace, span, parent, (length,) = match.groups(b"")
        name = data[match.end() : match.end() + length].decode()
        found.append(Span(name, trace.hex(), span.hex(), parent.hex()))
    return found


def write(root: Path, files: Mapping[str, str], packages: Path | None = None) -> None:
    """The files of an application, in its folder, and the packages that the function brings."""
    for entry in packages.iterdir() if packages else ():
        (root / entry.name).symlink_to(entry)
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)


def judge_of(opt: Path, root: Path, environ: Mapping[str, str]) -> LocalJudge:
    """The function on the bootstrap way, with the time that these libraries take to import."""
    return LocalJudge(opt, USUAL.path, root, dict(environ), timeout=30.0, init_timeout=60.0)


async def under_awslambdaric(
    opt: Path, root: Path, packages: Path, handler: str, **environ: str
) -> str:
    """The log after one request on the handler way."""
    judge = judges.under_awslambdaric(
        opt, USUAL, root, handler, {"ASGI_APP": "main:app", **environ}, [packages], timeout=30.0,
        init_timeout=60.0,
    )  # fmt: skip
    async with judge:
        assert (await judge.invoke(url_event("/items/5"))).content == {"item": "5"}
        await frozen(judge, 1)
    return judge.log


async def frozen(judge: LocalJudge, invocations: int) -> None:
    """The environment has served so many, and asked for the next one."""
    await until(lambda: judge.log.count("REPORT RequestId") == invocations)
