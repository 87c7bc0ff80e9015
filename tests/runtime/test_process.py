"""A whole process against a Runtime API that says odd things: each costs one invocation at most."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from lamella.testing import events
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
    """Gives out `nexts`, then is silent. `hangs_up`: closes each connection after a post. `taken`
    is the reply to posts."""

    def __init__(self, nexts: list[bytes], hangs_up: bool, taken: bytes) -> None:
        self.nexts = nexts
        self.posts: list[tuple[str, bytes]] = []
        self._hangs_up = hangs_up
        self._taken = taken

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
                writer.write(self._taken)
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
    runtime: str = RUNTIME,
    taken: bytes = ACCEPTED,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[tuple[Api, asyncio.subprocess.Process]]:
    (folder / "main.py").write_text(app)
    api = Api(nexts, hangs_up, taken)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    environ = {
        **os.environ,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "ASGI_APP": "main:app",
        "ASGI_LIFESPAN": lifespan,
        "PYTHONPATH": str(folder),
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", runtime),
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


SLOW = """
import asyncio, time

class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        raise RuntimeError("loops are made elsewhere")

asyncio.set_event_loop_policy(Policy())
asyncio.run = Policy().new_event_loop
time.sleep(1.0)
"""


async def test_a_held_event_needs_no_loop_of_the_application_s_making(tmp_path: Path) -> None:
    """As under nest_asyncio, which patches asyncio.run(), or a policy for the main thread only."""
    replies = [next_reply("/held"), next_reply("/fine")]
    settings = {"ASGI_SLOW_INIT": "0.1", "ASGI_LOOP": "asyncio"}
    async with running(tmp_path, replies, app=SLOW + APP, variables=settings) as (api, process):
        await until(lambda: len(api.posts) == 2 or process.returncode is not None)
        log = await log_of(process)
    assert [json.loads(body)["body"] for _, body in api.posts] == ["/held", "/fine"]
    assert "is not ready" in log


@pytest.mark.parametrize("status", ["403 Forbidden", "500 Internal Server Error"])
async def test_a_held_event_whose_answer_ends_the_environment(tmp_path: Path, status: str) -> None:
    refused = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    late = [next_reply("/late", deadline=str(int(time.time() * 1000)))]
    async with running(
        tmp_path, late, app=SLOW + APP, taken=refused, variables={"ASGI_SLOW_INIT": "0.1"}
    ) as (
        api,
        process,
    ):
        log, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    ((path, body),) = api.posts
    assert path.endswith("/invocation/to-late/response")
    assert json.loads(body)["statusCode"] == 504
    assert process.returncode == 69
    assert f"refused the answer: {status[:3]}" in log.decode()


WARMED = """
import asyncio

async def cancel_all():
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await cancel_all()
        await send({"type": "lifespan.startup.complete"})
        await receive()
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"] == "/cancels":
        await cancel_all()
    while scope["path"] == "/stubborn":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
    await send(start)
    while scope["path"] == "/endless":
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    (used,) = (line for line in open("/proc/self/status", "rb") if line.startswith(b"VmHWM"))
    await send({"type": "http.response.body", "body": used.split()[1]})
"""

IN_TWO_SECONDS = f"""
from lamella.runtime import environment
environment.INIT_TIME = 2.0
{RUNTIME}"""


@pytest.mark.parametrize("path", ["/stubborn", "/cancels", "/endless"])
async def test_no_request_of_the_warm_up_keeps_events_waiting(tmp_path: Path, path: str) -> None:
    """Not one that ignores its end, nor one that cancels whatever it finds, nor one without end."""
    settings = {"ASGI_WARMUP": f"{path},/", "ASGI_INVOKE_MODE": "response_stream"}
    fine = json.dumps(events.http_api(path="/fine")).encode()
    runtime = IN_TWO_SECONDS if path == "/stubborn" else RUNTIME
    async with running(
        tmp_path, [next_reply("/fine", body=fine)], app=WARMED, runtime=runtime, variables=settings
    ) as (api, process):
        await until(lambda: len(api.posts) == 1 or process.returncode is not None)
        await asyncio.sleep(0.6)  # so that a request which is cancelled again would say so
        log = await log_of(process)
    assert int(json.loads(api.posts[0][1])["body"]) < 150_000, "KiB were used"
    warned = "ASGI_WARMUP: GET /stubborn was answered with 504." in log
    assert warned == (path == "/stubborn")
    assert log.count("cancelled again") <= 2


async def test_a_first_request_that_cancels_every_task_is_answered(tmp_path: Path) -> None:
    cancels = json.dumps(events.http_api(path="/cancels")).encode()
    async with running(tmp_path, [next_reply("/cancels", body=cancels)], app=WARMED) as (
        api,
        process,
    ):
        await until(lambda: len(api.posts) == 1 or process.returncode is not None)
        await asyncio.sleep(0.2)  # it would end then
        assert process.returncode is None
    assert json.loads(api.posts[0][1])["statusCode"] == 200


async def test_a_startup_that_cancels_every_task_is_an_init_error(tmp_path: Path) -> None:
    async with running(tmp_path, [], app=WARMED, lifespan="on") as (api, process):
        log, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    ((path, body),) = api.posts
    assert path.endswith("/init/error")
    report = json.loads(body)
    assert report["errorType"] == "Runtime.InitError"
    assert "Cancel only tasks of its own." in report["errorMessage"]
    assert report["errorMessage"] in log.decode()
