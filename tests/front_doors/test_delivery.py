"""What every front door does around its translations: sizes, time limits, heads and endings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from lamella.front_doors import (
    Edge,
    FrontDoor,
    FunctionUrl,
    HttpApi,
    HttpRequest,
    HttpResponse,
    Lattice,
    LoadBalancer,
    RestApi,
)
from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import BrokenOff, Delivered, Throttled, deliver
from lamella.front_doors.prelude import CONTENT_TYPE

pytestmark = pytest.mark.anyio

ERROR = {"errorType": "Function.Lost", "errorMessage": "it"}
HEAD = json.dumps({"statusCode": 201, "headers": {"x-a": "b"}}).encode() + bytes(8)
TEXT = [("content-type", "text/plain")]


class Function:
    """Lets `script` write each answer; keeps the events and the answers."""

    def __init__(self, script: Callable[[Answer], None]) -> None:
        self.script = script
        self.events: list[bytes] = []
        self.answers: list[Answer] = []

    async def open(self, event: bytes | dict[str, Any]) -> Answer:
        assert isinstance(event, bytes)
        self.events.append(event)
        self.answers.append(Answer("r1"))
        self.script(self.answers[-1])
        return self.answers[-1]


def result(**value: Any) -> Callable[[Answer], None]:
    """A buffered result."""

    def script(answer: Answer) -> None:
        answer.begin(False, "application/json")
        answer.put(json.dumps(value).encode())
        answer.end()

    return script


def stream(*pieces: bytes, content_type: str = CONTENT_TYPE) -> Callable[[Answer], None]:
    """A streamed answer."""

    def script(answer: Answer) -> None:
        answer.begin(True, content_type)
        for piece in pieces:
            answer.put(piece)
        answer.end()

    return script


class Desk:
    """One function behind one front door, and what the door logged."""

    def __init__(self, door: FrontDoor, script: Callable[[Answer], None]) -> None:
        self.door = door
        self.function = Function(script)
        self.log: list[str] = []

    async def ask(self, path: str = "/", **request: Any) -> Delivered:
        fields = {"method": "GET", "raw_path": path, "query": "", "headers": []}
        sent = HttpRequest(**{**fields, **request})
        delivered = await deliver(self.door, self.function, sent)
        if why := delivered.because:
            asked = f"{delivered.response.status} for {sent.method} {sent.raw_path}"
            self.log.append(f"{self.door.name}: {asked}, because {why}")
        return delivered

    async def get(self, path: str = "/", **request: Any) -> HttpResponse:
        response, rest, *_ = await self.ask(path, **request)
        assert rest is None
        return response


def values(response: HttpResponse, name: str) -> list[str]:
    return [value for key, value in response.headers if key == name]


async def test_a_result_gets_a_date_a_length_and_the_door_s_own_headers() -> None:
    desk = Desk(HttpApi(), result(statusCode=200, body="é"))
    response = await desk.get()
    assert (response.status, response.body) == (200, "é".encode())
    assert values(response, "content-length") == ["2"]
    assert values(response, "date")[0].endswith(" GMT")
    assert values(response, "apigw-requestid")
    assert desk.log == []


async def test_the_function_s_date_stays() -> None:
    stamp = "Sun, 22 Nov 2026 10:00:00 GMT"
    desk = Desk(HttpApi(), result(statusCode=200, headers={"Date": stamp}))
    assert values(await desk.get(), "date") == [stamp]


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_that_have_no_body(status: int) -> None:
    response = await Desk(HttpApi(), result(statusCode=status, body="x")).get()
    assert (response.status, response.body) == (status, b"")
    assert values(response, "content-length") == []


async def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    response = await Desk(HttpApi(), result(statusCode=200, body="four")).get(method="HEAD")
    assert (response.body, values(response, "content-length")) == (b"", ["4"])
    response, rest, *_ = await Desk(FunctionUrl(), stream(HEAD + b"one", b"two")).ask(method="HEAD")
    assert rest is not None
    assert (response.status, response.body, [piece async for piece in rest]) == (201, b"", [])


@pytest.mark.parametrize(
    ("door", "body", "status"),
    [
        pytest.param(FunctionUrl(), "é" * 2_000_000, 0, id="utf-8-is-not-escaped"),
        pytest.param(FunctionUrl(), "x" * 6 * 2**20, 413, id="the-event-is-larger-than-its-body"),
        pytest.param(LoadBalancer(), "x" * (2**20 + 1), 413, id="the-door-s-own-limit"),
    ],
)
async def test_the_size_of_a_request(door: FrontDoor, body: str, status: int) -> None:
    desk = Desk(door, stream(HEAD))
    response, *_ = await desk.ask(method="POST", headers=TEXT, body=body.encode())
    if status:
        assert (response.status, desk.function.events) == (413, [])
        assert "because the request is too large: the " in desk.log[0]
    else:
        assert json.loads(desk.function.events[0])["body"] == body


async def test_a_time_limit_ends_with_the_whole_answer() -> None:
    def half(answer: Answer) -> None:
        answer.begin(False, "application/json")
        answer.put(b'{"statusCode":')

    desk = Desk(RestApi(time_limit=0.05), half)
    response = await desk.get("/prod/x")
    assert (response.status, json.loads(response.body)["message"]) == (
        504,
        "Endpoint request timed out",
    )
    assert desk.log == [
        "rest: 504 for GET /prod/x, because the function did not answer in the source's time "
        "limit: no answer within 0.05 s"
    ]
    assert desk.function.answers[0].abandoned, "the function is not held up by it"


async def test_a_time_limit_does_not_end_a_stream_that_has_begun() -> None:
    def begun(answer: Answer) -> None:
        answer.begin(True, CONTENT_TYPE)
        answer.put(HEAD)

    desk = Desk(RestApi(streaming=True, time_limit=0.05), begun)
    response, rest, *_ = await desk.ask("/prod")
    await asyncio.sleep(0.06)
    desk.function.answers[0].put(b"late")
    desk.function.answers[0].end()
    assert rest is not None
    assert (response.status, [piece async for piece in rest]) == (201, [b"late"])


@pytest.mark.parametrize(
    ("door", "script", "status", "reason"),
    [
        (RestApi(), lambda a: a.fail(ERROR), 502, "the function failed: Function.Lost: it"),
        (HttpApi(), lambda a: a.fail(ERROR), 500, "the function failed: Function.Lost: it"),
        (FunctionUrl(), lambda a: a.fail(ERROR), 502, "the function failed: Function.Lost: it"),
        (LoadBalancer(), lambda a: a.fail(ERROR), 502, "the function failed: Function.Lost: it"),
        (Lattice(), lambda a: a.fail(ERROR), 502, "the function failed: Function.Lost: it"),
        (Edge(), lambda a: a.fail(ERROR), 502, "the function failed: Function.Lost: it"),
        (RestApi(), result(statusCode="?"), 502, "statusCode is '?'"),
        (RestApi(streaming=True), stream(b"no end"), 500, "before the eight NUL bytes"),
        (RestApi(streaming=True), stream(b"{}", content_type="text/plain"), 500, "'text/plain'"),
        (RestApi(streaming=True), stream(b"y" * 20_000), 500, "no eight NUL bytes in the first"),
        (RestApi(streaming=True), stream(b'{"statusCode":"?"}' + bytes(8)), 500, "is '?'"),
        (FunctionUrl(), stream(b"[]" + bytes(8)), 502, "a JSON list, not an object"),
    ],
)
async def test_what_the_door_answers_itself(
    door: FrontDoor, script: Callable[[Answer], None], status: int, reason: str
) -> None:
    desk = Desk(door, script)
    response = await desk.get("/prod" if door.name == "rest" else "/")
    assert response.status == status
    assert reason in desk.log[0]
    assert values(response, "date")
    assert values(response, "content-length")


async def test_no_environment_is_free() -> None:
    def busy(_answer: Answer) -> None:
        raise Throttled("all 10 environments are busy")

    desk = Desk(HttpApi(), busy)
    assert (await desk.get()).status == 429
    assert "no environment is free: all 10 environments are busy" in desk.log[0]


async def test_a_stream_and_its_end() -> None:
    response, rest, *_ = await Desk(FunctionUrl(), stream(HEAD + b"one", b"two")).ask()
    assert rest is not None
    assert (response.status, response.body) == (201, b"one")
    assert values(response, "x-a") == ["b"]
    assert values(response, "content-length") == []
    assert len(values(response, "date")) == 1
    assert [piece async for piece in rest] == [b"two"]


async def test_a_function_url_takes_a_stream_without_prelude() -> None:
    desk = Desk(FunctionUrl(), stream(b"raw", content_type="text/plain"))
    response, rest, *_ = await desk.ask()
    assert rest is not None
    assert (response.status, values(response, "content-type")) == (200, ["text/plain"])
    assert [piece async for piece in rest] == [b"raw"]


async def test_a_stream_that_breaks_off() -> None:
    def broken(answer: Answer) -> None:
        answer.begin(True, CONTENT_TYPE)
        answer.put(HEAD)
        answer.fail(ERROR)

    _, rest, *_ = await Desk(FunctionUrl(), broken).ask()
    assert rest is not None
    with pytest.raises(BrokenOff, match=r"broke off: Function\.Lost: it"):
        [piece async for piece in rest]


async def test_a_generated_response_of_edge_whose_body_is_no_base64() -> None:
    desk = Desk(Edge(), result(status="200", body="§", bodyEncoding="base64"))
    assert (await desk.get()).status == 502
    assert "body is not base64" in desk.log[0]
