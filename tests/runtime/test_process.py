"""A whole process against a Runtime API that says odd things: each costs one invocation at most."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.events import url_event
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.anyio

APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
"""

RUNTIME = """
import gc
from lamella.runtime.main import main
main("/nonexistent", gc.get_threshold())
"""

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


def next_reply(
    path: str,
    headers: str = "",
    deadline: str | None = "9999999999999",
    length: int | None = None,
    body: bytes = b"",
) -> bytes:
    """A reply to /next with an event for `path`; its request id is "to-" and the path."""
    body = body or json.dumps(url_event(path)).encode()
    told = "" if deadline is None else f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
    head = (
        f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: to-{path[1:]}\r\n{told}{headers}"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode("latin-1") + body


class Api:
    """Gives out `nexts`, then is silent. `hangs_up`: closes each connection after a post."""

    def __init__(self, nexts: list[bytes], hangs_up: bool) -> None:
        self.nexts = nexts
        self.posts: list[tuple[str, bytes]] = []
        self._hangs_up = hangs_up

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                if line.startswith("GET"):
                    if not self.nexts:
                        await reader.read()
                        break
                    writer.write(self.nexts.pop(0))
                    continue
                (length,) = (f[16:] for f in fields if f.startswith("Content-Length: "))
                self.posts.append((line.split()[1], await reader.readexactly(int(length))))
                writer.write(ACCEPTED)
                if self._hangs_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def running(
    folder: Path,
    nexts: list[bytes],
    hangs_up: bool = False,
    app: str = APP,
    lifespan: str = "off",
) -> AsyncIterator[tuple[Api, asyncio.subprocess.Process]]:
    (folder / "main.py").write_text(app)
    api = Api(nexts, hangs_up)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    environ = {
        **os.environ,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "ASGI_APP": "main:app",
        "ASGI_LIFESPAN": lifespan,
        "PYTHONPATH": str(folder),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUNTIME),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield api, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        server.close()


async def log_of(process: asyncio.subprocess.Process) -> str:
    """End the process; everything that it has logged."""
    process.terminate()
    log, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return log.decode()


CONTEXT = "Lambda-Runtime-Client-Context: "
ODD = {
    "deadline of superscripts": next_reply("/odd", deadline="²²²"),
    "deadline of 5,000 digits": next_reply("/odd", deadline="9" * 5000),
    "deadline below zero": next_reply("/odd", deadline="-1"),
    "context that is a list": next_reply("/odd", CONTEXT + "[]\r\n"),
    "context that is a number": next_reply("/odd", CONTEXT + "7\r\n"),
    "context whose client is text": next_reply("/odd", CONTEXT + '{"client":"me"}\r\n'),
    "context of 100,000 brackets": next_reply("/odd", CONTEXT + "[" * 60_000 + "\r\n"),
    "identity that is text": next_reply("/odd", 'Lambda-Runtime-Cognito-Identity: "me"\r\n'),
    "a length that is too small": next_reply("/odd", length=20),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_an_odd_invocation_fails_and_the_next_is_served(odd: bytes, tmp_path: Path) -> None:
    async with running(tmp_path, [odd, next_reply("/fine")]) as (api, process):
        await until(lambda: len(api.posts) == 2 or process.returncode is not None)
        log = await log_of(process)
    (failed, report), (answered, result) = api.posts
    assert failed == "/2018-06-01/runtime/invocation/to-odd/error"
    assert json.loads(report)["errorType"].endswith("UnmarshalError")
    assert json.loads(report)["errorMessage"] in log
    assert "please report it" not in log
    assert answered == "/2018-06-01/runtime/invocation/to-fine/response"
    assert json.loads(result)["body"] == "/fine"


def with_number(number: bytes) -> bytes:
    """An event that has a number."""
    event = json.dumps(url_event("/odd") | {"number": 0}).encode()
    return event.replace(b'"number": 0', b'"number": ' + number)


FINE = {
    "no deadline": next_reply("/odd", deadline=None),
    "empty headers": next_reply("/odd", CONTEXT + "\r\nLambda-Runtime-Trace-Id: \r\n"),
    "a context that is null": next_reply("/odd", CONTEXT + "null\r\n"),
    # Python reads no integer of so many digits.
    "a number of 5,000 digits": next_reply("/odd", body=with_number(b"1" * 5000)),
    "interim replies": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n"
    + next_reply("/odd"),
}


@pytest.mark.parametrize("reply", FINE.values(), ids=FINE.keys())
async def test_what_may_be_missing_or_added_changes_nothing(reply: bytes, tmp_path: Path) -> None:
    async with running(tmp_path, [reply, next_reply("/fine")]) as (api, process):
        await until(lambda: len(api.posts) == 2 or process.returncode is not None)
        log = await log_of(process)
    assert [json.loads(body)["body"] for _, body in api.posts] == ["/odd", "/fine"]
    assert "WARN" not in log
    assert "ERROR" not in log


FAULTS = {
    "no length at all": b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "no request id": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a request id that is none": next_reply("/odd\nGET / HTTP/1.1"),
    "busy": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_reply_that_is_no_invocation_is_asked_for_again(
    fault: bytes, tmp_path: Path
) -> None:
    async with running(tmp_path, [fault, next_reply("/fine")]) as (api, process):
        await until(lambda: len(api.posts) == 1 or process.returncode is not None)
        log = await log_of(process)
    assert [json.loads(body)["body"] for _, body in api.posts] == ["/fine"]
    assert "Asking again in 0.1 s: " in log


async def test_connections_that_are_closed_between_requests_are_no_news(tmp_path: Path) -> None:
    replies = [next_reply(f"/{number}") for number in range(20)]
    async with running(tmp_path, replies, hangs_up=True) as (api, process):
        await until(lambda: len(api.posts) == 20 or process.returncode is not None)
        log = await log_of(process)
    assert [json.loads(body)["body"] for _, body in api.posts] == [f"/{n}" for n in range(20)]
    assert "Runtime API" not in log


TELLS_IMPORTS = """
import sys

in_init = set()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        in_init.update(sys.modules)
        raise NotImplementedError("lifespan")
    later = sys.modules.keys() - in_init
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(sorted(later)).encode()})
"""


async def test_the_first_request_waits_for_no_import(tmp_path: Path) -> None:
    """A client waits for an import in a request; for one in init, only the first client does."""
    app = running(tmp_path, [next_reply("/first")], app=TELLS_IMPORTS, lifespan="auto")
    async with app as (api, process):
        await until(lambda: len(api.posts) == 1 or process.returncode is not None)
    ((_, result),) = api.posts
    assert json.loads(result)["body"] == ""
