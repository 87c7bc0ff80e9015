"""ASGI_DATADOG_EXTENSION: what Datadog's extension is told, and what the application gets of it.

The extension here answers as its sources say (`lamella.runtime.datadog`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from lamella.runtime import datadog
from lamella.runtime.connection import Connection
from lamella.runtime.datadog import Extension, Span
from lamella.runtime.loop import Slot
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.testing import events
from tests.ports import free_port
from tests.runtime.test_loop import Api
from tests.waiting import PATIENCE

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may be busy; one test here is about the patience itself."""
    monkeypatch.setattr(datadog, "PATIENCE", PATIENCE)


App = Callable[[Any, Any, Any], Awaitable[None]]
Headers = dict[str, str]


class Call(NamedTuple):
    """A call that the extension got; `answered`: what the Runtime API had been posted by then."""

    path: str
    headers: Headers
    body: Any
    answered: int


class Fake:
    """Datadog's extension at `address`: keeps its calls, answers the start with `headers`."""

    address: str

    def __init__(self, headers: Headers) -> None:
        self.calls: list[Call] = []
        self.api: Api | None = None
        self._reply = "".join(f"{name}: {text}\r\n" for name, text in headers.items())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.rstrip().split("\r\n")
        headers = {name.lower(): text for name, text in (f.split(": ", 1) for f in fields)}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        answered = len(self.api.answers) if self.api else 0
        self.calls.append(Call(line.split()[1], headers, body, answered))
        extra = self._reply if "start" in line else ""
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{extra}\r\n{{}}".encode())
        writer.close()


@asynccontextmanager
async def extension(headers: Headers | None = None) -> AsyncIterator[Fake]:
    fake = Fake(headers or {})
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server:
        fake.address = "{}:{}".format(*server.sockets[0].getsockname())
        yield fake


async def invoke(
    app: App,
    address: str,
    event: Any,
    fake: Fake | None = None,
    seconds: float | None = None,
    **settings: Any,
) -> Api:
    """Serve one event in a slot whose invocations the extension at `address` is told of; Lambda's
    deadline is in so many `seconds`."""
    api = Api(1, event)
    api.seconds = seconds
    if fake is not None:
        fake.api = api

    async def connect(_address: str) -> Connection:
        return api.connection

    errors: list[BaseException] = []
    told = Extension(address)
    service = Service(app, from_arguments(settings))
    slot = Slot("", service, {}, errors.append, False, connect, told)
    slot.next()
    await api.over.wait()
    slot.close()
    assert not errors
    return api


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """404, with the request's trace headers as JSON."""
    names = (*datadog.REPLACED, b"x-kept")
    seen = {name.decode(): text.decode() for name, text in scope["headers"] if name in names}
    await send({"type": "http.response.start", "status": 404})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


def seen_by(api: Api) -> Headers:
    headers: Headers = json.loads(api.answers[0]["body"])
    return headers


CALLER = {
    "x-datadog-trace-id": "7",
    "x-datadog-sampling-priority": "2",
    "x-datadog-tags": "_dd.p.tid=66",
}
"""What the extension answers where the event has the trace of a caller."""


async def test_a_caller_s_trace_goes_on_below_the_function_s_span() -> None:
    event = events.function_url(
        path="/items",
        headers={
            "x-datadog-trace-id": "7",
            "x-datadog-parent-id": "8",
            "traceparent": f"00-{66:016x}{7:016x}-{8:016x}-01",
            "tracestate": "dd=s:2",
            "x-kept": "yes",
        },
    )
    async with extension(CALLER) as fake:
        api = await invoke(answer, fake.address, event, fake)
    start, end = fake.calls
    assert (start.path, start.body) == ("/lambda/start-invocation", event)
    assert start.headers["lambda-runtime-aws-request-id"] == "r-1"
    span_id = end.headers["x-datadog-span-id"]
    assert seen_by(api) == {**CALLER, "x-datadog-parent-id": span_id, "x-kept": "yes"}
    assert end.path == "/lambda/end-invocation"
    assert end.headers["lambda-runtime-aws-request-id"] == "r-1"
    assert end.headers.items() >= CALLER.items()
    assert end.body == {"statusCode": 404}
    assert end.answered == 1, "the client does not wait for the end call"


async def test_a_new_trace_leaves_the_sampling_to_the_application_s_tracer() -> None:
    async with extension() as fake:
        api = await invoke(answer, fake.address, events.function_url(), fake)
    end = fake.calls[1]
    trace_id, span_id = end.headers["x-datadog-trace-id"], end.headers["x-datadog-span-id"]
    assert seen_by(api) == {"x-datadog-trace-id": trace_id, "x-datadog-parent-id": span_id}
    assert 0 < int(trace_id) < 2**63
    assert 0 < int(span_id) < 2**63
    assert "x-datadog-sampling-priority" not in end.headers


def error_of(end: Call) -> tuple[str, str]:
    """The type and the message of the error that an end call has."""
    assert end.headers["x-datadog-invocation-error"] == "true"
    names = ("x-datadog-invocation-error-type", "x-datadog-invocation-error-msg")
    kind, message = (base64.b64decode(end.headers[name]).decode() for name in names)
    return kind, message


async def test_a_failed_invocation_is_told_with_its_error() -> None:
    async with extension() as fake:
        await invoke(answer, fake.address, events.sqs(bodies=["one"]), fake)
    end = fake.calls[1]
    assert end.body == {}, "nobody got the status of an event's POST"
    kind, message = error_of(end)
    assert kind == "Function.Error"
    assert "404" in message


WARMER = {"warmer": True}
MALFORMED = {**events.function_url(), "isBase64Encoded": True, "body": "no base64"}


@pytest.mark.parametrize("event", [WARMER, MALFORMED])
async def test_what_is_answered_without_the_application_has_an_end_too(event: Any) -> None:
    """Else the extension waits for it, and the invocation has no span."""
    async with extension() as fake:
        await invoke(answer, fake.address, event, fake)
    assert [call.path for call in fake.calls] == [
        "/lambda/start-invocation",
        "/lambda/end-invocation",
    ]
    assert fake.calls[1].answered == 1


async def test_an_event_that_nobody_serves_is_told_with_its_error() -> None:
    async with extension() as fake:
        await invoke(answer, fake.address, events.sqs(bodies=["one"]), fake, events_path="")
    kind, message = error_of(fake.calls[1])
    assert kind == "Function.Error"
    assert "ASGI_EVENTS_PATH" in message


async def test_events_of_websockets_are_told_too(caplog: pytest.LogCaptureFixture) -> None:
    """Their applications get no headers: a handshake is older than the event."""
    async with extension() as fake:
        await invoke(answer, fake.address, events.websocket_connect(), fake)
    assert fake.calls[0].path == "/lambda/start-invocation"
    assert not [r for r in caplog.records if "Lamella failed" in r.getMessage()]


async def test_an_absent_extension_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    told = Extension(f"127.0.0.1:{free_port()}")
    assert await told.start("r-1", b"{}", PATIENCE) is None
    assert await told.start("r-2", b"{}", PATIENCE) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "did not take the start of an invocation (ConnectionRefusedError: " in record.message
    assert "Add the layer Datadog-Extension, or remove ASGI_DATADOG_EXTENSION." in record.message


async def test_without_the_extension_a_request_keeps_its_headers() -> None:
    event = events.function_url(headers={"x-datadog-trace-id": "7"})
    api = await invoke(answer, f"127.0.0.1:{free_port()}", event)
    assert seen_by(api) == {"x-datadog-trace-id": "7"}


async def test_a_silent_extension_costs_no_more_than_its_patience(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(datadog, "PATIENCE", 0.01)
    quiet = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await quiet.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        assert await Extension(address).start("r-1", b"{}", PATIENCE) is None
        quiet.set()
    assert "(no answer in 0.01 s)" in caplog.text


async def test_after_a_call_that_failed_no_invocation_waits_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a silent extension costs each invocation its patience."""
    asked = 0

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    async with await asyncio.start_server(refusing, "127.0.0.1", 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        for rest, calls in ((PATIENCE, 1), (0.0, 3)):
            monkeypatch.setattr(datadog, "REST", rest)
            told, asked = Extension(address), 0
            for request_id in ("r-1", "r-2", "r-3"):
                assert await told.start(request_id, b"{}", PATIENCE) is None
            assert asked == calls


@asynccontextmanager
async def silent_at(call: bytes) -> AsyncIterator[str]:
    """The address of an extension that takes the start or the end, and never answers it."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if call in await reader.readuntil(b"\r\n\r\n"):
            await over.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield "{}:{}".format(*server.sockets[0].getsockname())
        over.set()


async def test_a_silent_extension_leaves_half_of_the_time_to_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else a function of one second would end in each invocation without a word."""
    async with silent_at(b"start") as address:
        api = await invoke(answer, address, events.function_url(), seconds=2)
    assert api.answers[0]["statusCode"] == 404
    start = r"did not take the start of an invocation \(no answer in (1|0\.\d+) s, and the invoc"
    assert re.search(start, caplog.text), caplog.text


async def test_an_extension_that_is_silent_after_a_504_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(PATIENCE)

    async with silent_at(b"end") as address:
        api = await invoke(late, address, events.function_url(), seconds=1)
    assert api.answers[0]["statusCode"] == 504
    assert "did not take the end of an invocation (no answer in 0." in caplog.text
    assert "and the invocation had no more time" in caplog.text
    assert "before_freeze" not in caplog.text


async def test_after_a_504_no_cancellation_is_left_in_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Task groups, and asyncio.timeout before Python 3.11.3, would take it for another one's."""
    left: list[int] = []

    async def end(self: Span, *arguments: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        left.append(task.cancelling())

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(PATIENCE)

    monkeypatch.setattr(Span, "end", end)
    async with silent_at(b"no call") as address:
        api = await invoke(late, address, events.function_url(), seconds=1)
    assert api.answers[0]["statusCode"] == 504
    assert left == [0]


async def test_without_time_the_extension_is_not_asked_and_not_blamed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with silent_at(b"end") as address:
        assert await Extension(address).call("end", {}, b"{}", -0.5) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", "it answered 500"),
        (b"", "it closed the connection without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "where a status line belongs"),
    ],
)
async def test_an_odd_answer_is_named(
    caplog: pytest.LogCaptureFixture, reply: bytes, reason: str
) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(odd, "127.0.0.1", 0) as server:
        address = "{}:{}".format(*server.sockets[0].getsockname())
        assert await Extension(address).start("r-1", b"{}", PATIENCE) is None
    assert reason in caplog.text
