"""The HTTP cycle: what an application may send, and what it gets."""

from __future__ import annotations

import asyncio
import logging
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from lamella.asgi.http import FILE_CHUNK, HTTPCycle, State
from lamella.errors import ApplicationError, ClientDisconnected
from lamella.types import Headers, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"1")]}
END: Message = {"type": "http.response.body", "body": b"done"}


class RecordingSink:
    """Writes down what arrives; raises once the client is `gone`."""

    status = 0

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.gone = False

    def start(self, status: int, headers: Headers) -> None:
        self.calls.append(("start", status, headers))

    async def write(self, data: bytes) -> None:
        if self.gone:
            raise ClientDisconnected("gone")
        self.calls.append(("write", data))

    async def end(self, data: bytes) -> None:
        self.calls.append(("end", data))

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        self.calls.append(("fail", status, error))

    def withdraw(self) -> None:
        self.calls.append(("withdraw",))


def make_cycle(body: bytes = b"") -> tuple[HTTPCycle, RecordingSink]:
    sink = RecordingSink()
    return HTTPCycle({"method": "GET", "path": "/x"}, body, sink), sink


async def run(app: Any, body: bytes = b"") -> RecordingSink:
    cycle, sink = make_cycle(body)
    await cycle.run(app)
    return sink


async def test_a_response_reaches_the_sink_in_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        await send(END)

    sink = await run(app)
    assert sink.calls == [("start", 200, [(b"x-a", b"1")]), ("write", b"1"), ("end", b"done")]


async def test_receive_gives_the_body_once_then_waits_for_the_end_of_the_response() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        assert first == {"type": "http.request", "body": b"in", "more_body": False}
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        seen.append("done" if waiting.done() else "waiting")
        await send(START)
        await send(END)
        seen.append((await waiting)["type"])

    await run(app, b"in")
    assert seen == ["waiting", "http.disconnect"]


async def test_E35_every_receive_after_the_response_disconnects() -> None:
    kinds: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(END)
        kinds.extend([(await receive())["type"] for _ in range(3)])

    await run(app, b"never read")
    assert kinds == ["http.disconnect"] * 3


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        pytest.param([], "returned without a response", id="E24-nothing"),
        pytest.param([START], "returned before its response was whole", id="E24-half"),
    ],
)
async def test_an_incomplete_response_is_a_500_and_a_log_record(
    messages: list[Message], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    sink = await run(app)
    assert sink.calls[-1][:2] == ("fail", 500)
    assert isinstance(sink.calls[-1][2], ApplicationError)
    assert said in caplog.text
    assert "GET /x" in caplog.text


@pytest.mark.parametrize("error", [ValueError("boom"), asyncio.CancelledError()], ids=repr)
async def test_E36_D28_an_exception_is_a_500_with_a_traceback_in_the_log_only(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    sink = await run(app)
    assert sink.calls == [("fail", 500, error)]
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError()], ids=repr)
async def test_E36_an_error_that_ends_the_environment_is_kept(error: BaseException) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    cycle, _ = make_cycle()
    await cycle.run(app)
    assert cycle.fatal is error


async def test_an_error_after_the_response_is_only_a_log_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(END)
        raise ValueError("background work failed")

    sink = await run(app)
    assert sink.calls[-1] == ("end", b"done")
    assert "background work failed" in caplog.text


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        pytest.param([END], "Expected 'http.response.start'", id="body-first"),
        pytest.param(
            [{"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}],
            "Expected 'http.response.start', but the application sent 'http.response.early_hint'",
            id="early-hint",
        ),
        pytest.param(
            [{**START, "status": 103}], "send an integer from 200 to 599", id="interim-status"
        ),
        pytest.param([START, START], "Expected 'http.response.body'", id="start-twice"),
        pytest.param([START, END, END], "Expected nothing more", id="body-after-the-end"),
        pytest.param([{**START, "status": "200"}], "status '200'", id="status-as-text"),
        pytest.param(
            [START, {"type": "http.response.body", "body": "text"}], "has a str", id="body-as-text"
        ),
        *(
            pytest.param([{**START, "headers": [header]}], "is not a pair of bytes", id=f"E23-{n}")
            for n, header in {
                "name-as-text": ("x-a", b"1"),
                "value-as-text": (b"x-a", "1"),
                "value-of-none": (b"x-a", None),
                "bytes-alone": b"x-a",
                "text-of-two": "ab",
                "one-item": (b"x-a",),
                "three-items": (b"x-a", b"1", b"2"),
                "pairs-in-a-pair": ((b"x-a",), (b"1",)),
                "number": 1,
            }.items()
        ),
        *(
            pytest.param([{**START, "headers": [header]}], "are not allowed", id=f"E23-{header}")
            for header in [(b"x-a", b"1\nb"), (b"x-a", b"1\0")]
        ),
        pytest.param(
            [{**START, "headers": [(b"x-a", b"1\r\nset-cookie: a=b")]}],
            "CR, LF and NUL are not allowed",
            id="header-with-CRLF",
        ),
        *(
            pytest.param(
                [{**START, "headers": [(name, b"1")]}],
                f"Response header name {re.escape(repr(name))} is refused: a name is letters",
                id=f"name-{name!r}",
            )
            for name in [b"x y", b"", b"x-a\r\n", b"x:", b"\xe9", b"x\x01", b"x\x7f", b"x\x1b[0m"]
        ),
    ],
)
async def test_a_wrong_message_is_refused_where_it_is_sent(
    messages: list[Message], error: str
) -> None:
    refused: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages[:-1]:
            await send(message)
        try:
            await send(messages[-1])
        except Exception as exception:
            refused.append(exception)

    await run(app)
    assert [type(exception) for exception in refused] == [ApplicationError]
    assert re.search(error, str(refused[0]))


async def test_a_header_name_is_any_token() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"X!#$%&'*+-.^_`|~9", b"1")]})
        await send(END)

    assert (await run(app)).calls[0] == ("start", 200, [(b"x!#$%&'*+-.^_`|~9", b"1")])


async def test_a_status_is_a_number_whatever_enumeration_it_is_of() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "status": HTTPStatus.CREATED})
        await send(END)

    status = (await run(app)).calls[0][1]
    assert (type(status), status) == (int, 201)


async def test_abandon_answers_and_tells_the_application() -> None:
    told: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.append((await receive())["type"])
        with pytest.raises(OSError, match="client is gone"):
            await send(START)

    cycle, sink = make_cycle()
    running = asyncio.ensure_future(cycle.run(app))
    await asyncio.sleep(0)
    cycle.abandon(504, "too late")
    await running
    assert sink.calls[0][:2] == ("fail", 504)
    assert told == ["http.disconnect"]


async def test_E40_send_raises_an_oserror_once_the_client_is_gone() -> None:
    caught: list[OSError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        for _ in range(2):
            try:
                await send({"type": "http.response.body", "body": b"1", "more_body": True})
            except OSError as error:
                caught.append(error)

    cycle, sink = make_cycle()
    sink.gone = True
    await cycle.run(app)
    assert len(caught) == 2
    assert cycle.state is State.GONE


@pytest.mark.parametrize("size", [0, 1, FILE_CHUNK, 2 * FILE_CHUNK + 1])
async def test_pathsend_sends_a_file_in_parts(tmp_path: Path, size: int) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"x" * size)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(file)})

    sink = await run(app)
    assert sink.calls[-1][0] == "end"
    parts = [call[1] for call in sink.calls[1:]]
    assert b"".join(parts) == b"x" * size
    assert max(map(len, parts)) <= FILE_CHUNK


async def test_pathsend_of_a_missing_file_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": "/no/such/file"})

    sink = await run(app)
    assert sink.calls[-1][:2] == ("fail", 500)
    assert "/no/such/file" in caplog.text


async def test_a_disconnected_client_is_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})

    cycle, sink = make_cycle()
    sink.gone = True
    await cycle.run(app)
    assert [record.levelname for record in caplog.records] == ["INFO"]
