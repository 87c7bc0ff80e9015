"""The httpx transports: an application behind each event source, as on Lambda."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import lamella
from lamella.errors import AppImportError, InvocationError, LifespanError, SettingError
from lamella.front_doors.names import FRONT_DOORS
from lamella.testing import (
    AsyncLambdaTransport,
    FunctionUrl,
    HttpApi,
    LambdaContext,
    LambdaTransport,
    RestApi,
    events,
)
from lamella.types import Receive, Scope, Send

Script = Callable[[Scope, Receive, Send], Any]


class App:
    """Answers with what `script` does; counts lifespans and keeps the threads that it ran in."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.phases: list[str] = []
        self.done: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.script(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            self.phases.append(phase)
            await send({"type": f"lifespan.{phase}.complete"})


async def answer(
    send: Send, content: bytes = b"", status: int = 200, headers: Any = (), more: bool = False
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": more})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The request's parts, in JSON; two cookies."""
    parts = {
        "method": scope["method"],
        "path": scope["path"].removeprefix(scope["root_path"]),
        "root_path": scope["root_path"],
        "query": scope["query_string"].decode(),
        "body": (await receive())["body"].decode("latin-1"),
        "headers": [[n.decode(), v.decode("latin-1")] for n, v in scope["headers"]],
        "request_id": scope["aws.context"].aws_request_id,
        "tenant": scope["aws.context"].tenant_id,
    }
    headers = [
        (b"content-type", b"application/json"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    ]
    await answer(send, json.dumps(parts).encode(), 201, headers)


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Either library of HTTP clients; the rest of the tests take httpx."""
    return pytest.importorskip(request.param, reason="httpx2 needs Python 3.11")


def client(app: Any, source: Any = "url", library: Any = httpx, **arguments: Any) -> httpx.Client:
    transport = LambdaTransport(app, source=source, **arguments)
    made: httpx.Client = library.Client(transport=transport, base_url=transport.base_url)
    return made


@pytest.mark.parametrize("source", FRONT_DOORS)
def test_a_request_goes_in_and_a_response_comes_out(source: str, library: Any) -> None:
    with client(App(echo), source, library) as http:
        response = http.post("/a%20b?x=1&y=2", content=b"\xff\x00", headers={"x-a": "red"})
        assert dict(http.cookies) == {"a": "1", "b": "2"}
    assert type(response) is library.Response
    assert response.status_code == 201
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    seen = response.json()
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/a b", "x=1&y=2")
    assert seen["body"].encode("latin-1") == b"\xff\x00"
    assert ["x-a", "red"] in seen["headers"]


@pytest.mark.parametrize("source", FRONT_DOORS)
def test_binary_answers_are_decoded(source: str) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"\x89PNG\xff", headers=[(b"content-type", b"image/png")])

    with client(App(script), source) as http:
        assert http.get("/").content == b"\x89PNG\xff"


def test_one_lifespan_for_all_requests_and_a_request_id_for_each() -> None:
    app = App(echo)
    with client(app, "http") as http:
        assert app.phases == ["startup"]
        ids = {http.get("/").json()["request_id"] for _ in range(3)}
        assert (len(ids), app.phases) == (3, ["startup"])
    assert app.phases == ["startup", "shutdown"]


def test_without_a_with_statement_the_first_request_starts_it() -> None:
    app = App(echo)
    http = client(app)
    assert app.phases == []
    http.get("/")
    assert app.phases == ["startup"]
    http.close()
    assert app.phases == ["startup", "shutdown"]


def test_the_base_url_has_the_stage() -> None:
    with client(App(echo), RestApi(stage="live")) as http:
        assert http.get("/x").json()["root_path"] == "/live"
    with client(App(echo), HttpApi(stage="dev")) as http:
        assert str(http.base_url).endswith(".amazonaws.com/dev/")
        assert http.get("/x").json()["path"] == "/x"


def test_outside_of_the_stage_the_source_answers_itself(caplog: pytest.LogCaptureFixture) -> None:
    with client(App(echo), "rest") as http:
        assert http.get("https://api.example/x").status_code == 403
    assert "rest: 403 for GET /x, because the path is outside of the stage" in caplog.text


def test_settings_are_those_of_the_adapter() -> None:
    with client(App(echo), "url", base_path="/api", base_path_mode="strip") as http:
        assert http.get("/api/x").json()["path"] == "/x"
    with pytest.raises(SettingError, match="lifespan='sometimes'"):
        LambdaTransport(App(echo), lifespan="sometimes")
    with pytest.raises(TypeError, match="Did you mean lifespan"):
        LambdaTransport(App(echo), lifespann="on")  # type: ignore[call-arg]  # the test's point


def test_the_context_is_the_one_given() -> None:
    with client(App(echo), context=LambdaContext(tenant_id="blue")) as http:
        assert http.get("/").json()["tenant"] == "blue"


@pytest.mark.parametrize("source", ["url", "rest"])
def test_streams_come_as_the_application_sends_them(source: str, library: Any) -> None:
    """Each piece is sent only after the client has read the one before."""
    read = threading.Semaphore(0)

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"0", headers=[(b"set-cookie", b"a=1")], more=True)
        for number in (b"1", b"2"):
            await asyncio.to_thread(read.acquire)
            await send({"type": "http.response.body", "body": number, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    received = []
    with (
        client(App(script), source, library, invoke_mode="response_stream") as http,
        http.stream("GET", "/") as response,
    ):
        assert response.headers["set-cookie"] == "a=1"
        for piece in response.iter_bytes():
            received.append(piece)
            read.release()
    assert received == [b"0", b"1", b"2"]


def test_a_function_url_that_holds_small_chunks() -> None:
    """An application is found out that waits for the client's answer to what is still held."""
    read = threading.Event()

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"question", more=True)
        was_read = await asyncio.to_thread(read.wait, 0.2)
        await send({"type": "http.response.body", "body": b"read" if was_read else b"not read"})

    received = []
    with (
        client(App(script), FunctionUrl(hold_chunks=True), invoke_mode="response_stream") as http,
        http.stream("GET", "/") as response,
    ):
        for piece in response.iter_bytes():
            received.append(piece)
            read.set()
    assert received == [b"question", b"not read"]


def test_headers_over_the_door_s_limit(caplog: pytest.LogCaptureFixture) -> None:
    app = App(echo)
    with client(app, "http") as http:
        response = http.get("/", headers={"cookie": "c" * 11_000})
    assert (response.status_code, response.json()) == (
        431,
        {"message": "Request Header Fields Too Large"},
    )
    (record,) = [each for each in caplog.records if each.name == "lamella.testing"]
    text = record.getMessage()
    assert "http: 431 for GET /, because the request's headers are too large: the request" in text
    assert text.endswith(" bytes, over the limit of 10240")


def test_code_that_looks_for_extensions_does_nothing_without_them() -> None:
    async def page(request: Request) -> Response:
        await request.send_push_promise("/style.css")
        return Response(str(sorted(request.scope["extensions"])))

    with client(Starlette(routes=[Route("/", page)])) as http:
        assert http.get("/").text == "['http.response.pathsend']"


def test_sources_that_cannot_stream_get_the_whole() -> None:
    with client(App(echo), "http", invoke_mode="response_stream") as http:
        assert "content-length" in http.get("/").headers


def test_a_stream_that_fails_breaks_off(library: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"half", more=True)
        raise RuntimeError("no more")

    with (
        client(App(script), "url", library, invoke_mode="response_stream") as http,
        http.stream("GET", "/") as response,
        pytest.raises(library.RemoteProtocolError, match="broke off"),
    ):
        response.read()


def test_closing_a_response_ends_an_endless_stream(library: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x", more=True)
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        except OSError:
            app.done.append("told")

    app = App(script)
    with (
        client(app, "url", library, invoke_mode="response_stream") as http,
        http.stream("GET", "/") as response,
    ):
        assert next(response.iter_bytes(1)) == b"x"
    assert app.done == ["told"]


def test_work_after_the_answer_ends_before_the_next_request() -> None:
    may_end = threading.Event()

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, ",".join(app.done).encode())
        if scope["path"] == "/job":
            await asyncio.to_thread(may_end.wait)
            app.done.append("background")
            task = asyncio.ensure_future(asyncio.sleep(0.01))
            task.add_done_callback(lambda _: app.done.append("task"))

    app = App(script)
    with client(app) as http:
        assert http.get("/job").text == "", "the answer did not wait"
        may_end.set()
        assert http.get("/").text == "background,task"


def test_errors_of_the_application_are_a_500_and_a_log_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("secret")

    with client(App(script)) as http:
        response = http.get("/x")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert "GET /x: RuntimeError: secret" in caplog.text


@pytest.mark.parametrize(("source", "status"), [("url", 502), ("http", 500), ("alb", 502)])
def test_a_failed_invocation_is_the_source_s_own_answer(source: str, status: int) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/exit":
            raise SystemExit(3)
        await answer(send, b"down", 503)

    with client(App(script), source, error_status="500-599") as http:
        assert http.get("/").status_code == status
        assert http.get("/exit").status_code == status


def test_the_deadline_is_a_504() -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    hurried = LambdaContext(timeout=0.1)
    with client(App(script), context=hurried, deadline_margin_ms=0) as http:
        assert http.get("/").status_code == 504


def test_a_request_over_the_source_s_limit_is_refused() -> None:
    with client(App(echo), "alb") as http:
        assert http.post("/", content=b"x" * 1_100_000).status_code == 413
    with client(App(echo), "url") as http:
        assert http.post("/", content=b"x" * 5_000_000).status_code == 413, "base64 adds a third"


def test_init_errors_are_raised() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    http = client(failing)
    for _ in range(2):
        with pytest.raises(LifespanError, match="no database"):
            http.get("/")
    http.close()
    with pytest.raises(LifespanError, match="no database"), client(failing):
        pass
    with pytest.raises(AppImportError, match="there is no module 'no_such_module'"):
        LambdaTransport("no_such_module:app")


def test_other_events_reach_the_same_environment() -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        assert lamella.current_invocation().event is scope["aws.event"]
        await answer(send, (await receive())["body"], 200 if scope["path"] == "/events" else 404)

    event = events.sqs(bodies=["hello"])
    with LambdaTransport(App(script)) as transport:
        assert transport.invoke(event) == event
        assert transport.invoke(events.http_api(path="/x"))["statusCode"] == 404
    with (
        LambdaTransport(App(script), events_path="") as transport,
        pytest.raises(InvocationError, match="ASGI_EVENTS_PATH is empty"),
    ):
        transport.invoke(event)


def test_another_name_than_a_front_door_s() -> None:
    with pytest.raises(ValueError, match=r"no front door 'apigw'. Choose one of url \(Lambda Func"):
        LambdaTransport(App(echo), source="apigw")


@pytest.mark.parametrize(("invoke_mode", "date"), [("buffered", 1), ("response_stream", 1)])
def test_every_response_has_one_date(invoke_mode: Any, date: int) -> None:
    with client(App(echo), "url", invoke_mode=invoke_mode) as http:
        assert len(http.get("/").headers.get_list("date")) == date


def test_an_event_is_measured_in_utf_8() -> None:
    """Four megabytes of text are within six, although JSON could also escape each letter."""
    with client(App(echo), "url") as http:
        text = "\u00e9" * 2_000_000
        response = http.post("/", content=text.encode(), headers={"content-type": "text/plain"})
    assert response.status_code != 413


def test_a_source_s_time_limit() -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.5)

    with client(App(script), RestApi(time_limit=0.1)) as http:
        response = http.get("/")
    assert (response.status_code, response.json()) == (
        504,
        {"message": "Endpoint request timed out"},
    )


@pytest.mark.anyio
async def test_async_the_application_runs_on_the_test_s_loop() -> None:
    loop = asyncio.get_running_loop()

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        assert asyncio.get_running_loop() is loop
        running.append(scope["path"])
        assert len(running) == 1, "an environment serves one request at a time"
        await asyncio.sleep(0.01)
        running.remove(scope["path"])
        await answer(send, b"ok")

    running: list[str] = []
    app = App(script)
    transport = AsyncLambdaTransport(app, source="alb")
    async with httpx.AsyncClient(transport=transport, base_url=transport.base_url) as http:
        assert app.phases == ["startup"]
        responses = await asyncio.gather(*(http.get(f"/{number}") for number in range(4)))
        assert [response.text for response in responses] == ["ok"] * 4
        assert await transport.invoke(events.alb(path="/x")) is not None
    assert app.phases == ["startup", "shutdown"]


@pytest.mark.anyio
async def test_async_streams_and_the_work_after_them(library: Any) -> None:
    read, looked = asyncio.Event(), asyncio.Event()

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"0", more=True)
        await read.wait()
        await send({"type": "http.response.body", "body": b"1"})
        await looked.wait()
        app.done.append("background")

    app = App(script)
    transport = AsyncLambdaTransport(app, source="rest", invoke_mode="response_stream")
    async with library.AsyncClient(transport=transport, base_url=transport.base_url) as http:
        async with http.stream("GET", "/") as response:
            pieces = response.aiter_bytes()
            assert await pieces.__anext__() == b"0"
            read.set()
            assert [piece async for piece in pieces] == [b"1"]
        assert app.done == []
        looked.set()
    assert app.done == ["background"]


SCRIPT = """
import asyncio, gc
import httpx
from lamella.testing import AsyncLambdaTransport, LambdaTransport

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        try:
            assert (await receive())["type"] == "lifespan.shutdown"
            await asyncio.sleep(0.01)
            print("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
        except BaseException as error:
            print("destroyed by", repr(error))
            raise
    else:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

def make(kind, library_client):
    return library_client(transport=(transport := kind(app)), base_url=transport.base_url)

"""

FORGOTTEN = {
    "to the end": "client = make(LambdaTransport, httpx.Client)\nprint(client.get('/').text)\n",
    "and dropped": "print(make(LambdaTransport, httpx.Client).get('/').text)\ngc.collect()\n",
    "and its loop ends": (
        "async def main():\n"
        "    print((await make(AsyncLambdaTransport, httpx.AsyncClient).get('/')).text)\n"
        "asyncio.run(main())\n"
    ),
}


@pytest.mark.parametrize("use", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_client_without_with_is_told_once_and_still_shut_down(use: str) -> None:
    ended = ran(SCRIPT + use)
    assert ended.stdout.split() == ["hello", "shutdown"]
    (said,) = ended.stderr.splitlines()
    assert said.startswith("A transport of lamella.testing was not closed")
    assert "Close the transport: enter its client with `with`, or call client.close()" in said


def test_events_need_neither_library() -> None:
    code = """
import sys
sys.modules["httpx"] = sys.modules["httpx2"] = None
from lamella.testing import LambdaTransport, events
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
with LambdaTransport(app) as transport:
    print(transport.invoke(events.function_url(path="/x"))["body"])
"""
    assert ran(code).stdout == "/x\n"


def ran(code: str) -> subprocess.CompletedProcess[str]:
    """What a Python of its own printed that ran the code, with every warning."""
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
