"""What front doors do to what fits Lambda and not the door: heads, header values, silence, and
small chunks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lamella.front_doors import (
    Edge,
    FunctionUrl,
    HttpApi,
    HttpApiV1,
    Lattice,
    LoadBalancer,
    RestApi,
)
from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import SMALL_CHUNK, BrokenOff, Delivered, Rest, deliver
from lamella.front_doors.door import FrontDoor, HttpRequest
from lamella.front_doors.prelude import CONTENT_TYPE, END

pytestmark = pytest.mark.anyio


async def ask(door: FrontDoor, answer: Answer, request: HttpRequest | None = None) -> Delivered:
    class Function:
        async def open(self, event: bytes | dict[str, Any]) -> Answer:
            return answer

    sent = request or HttpRequest("GET", door.base_url("") or "/", "", [])
    return await deliver(door, Function(), sent)


def headers_of(*sizes: int) -> list[tuple[str, str]]:
    """A header for each size, which its name and its value have together."""
    return [("x" * 10, "v" * (size - 10)) for size in sizes]


URL_413 = {"Message": "Request must be smaller than 6291456 bytes for the InvokeFunction operation"}
API_431 = {"message": "Request Header Fields Too Large"}
API_414 = {"message": "Request URI Too Long"}
LINE = len("GET /prod HTTP/1.1")
"""What is not the query of a request to /prod; with a query there is a question mark, too."""


@pytest.mark.parametrize(
    ("door", "query", "sizes", "status", "body", "why"),
    [
        # HTTP API: the line and the values. A name does not count: 10 bytes of each header.
        (HttpApi(), 0, [10_240 - LINE + 10], 200, "", ""),
        (HttpApi(), 0, [10_241 - LINE + 10], 431, API_431, "request line and the header values"),
        (HttpApi(), 5_000, [5_251], 431, API_431, "request line and the header values"),
        (HttpApiV1(), 11_000, [], 431, API_431, "request line and the header values"),
        # REST API: the headers with their names, ": " and line ends; the URL by itself.
        (RestApi(), 0, [5_116, 5_116], 200, "", ""),
        (RestApi(), 0, [5_117, 5_116], 431, API_431, "the headers with their names"),
        (RestApi(), 10_240 - len("/prod?"), [10_200], 200, "", ""),
        (RestApi(), 10_241 - len("/prod?"), [], 414, API_414, "the path and the query"),
        # A load balancer: 16 KB for the line and for each header, 64 KB for all of these.
        (LoadBalancer(), 16_384 - LINE - 1, [16_382] * 3, 200, "", ""),
        (LoadBalancer(), 16_385 - LINE - 1, [], 414, "URI Too Long", "the request line has 16385"),
        (LoadBalancer(), 0, [16_383], 400, "Bad Request", "the largest header has 16385"),
        (LoadBalancer(), 0, [16_000] * 5, 400, "Bad Request", "the headers with their names"),
        (FunctionUrl(), 0, [500_000, 500_000], 200, "", ""),
        (FunctionUrl(), 0, [2**20], 413, URL_413, "request line and the header values"),
        (Edge(), 0, [16_000, 16_000], 200, "", ""),
        (Edge(), 0, [16_000, 17_000], 413, "Entity Too Large", "the request line and the headers"),
        (Edge(), 9_000, [], 413, "Entity Too Large", "the path and the query"),
        (Lattice(), 100_000, [100_000], 200, "", ""),
    ],
    ids=lambda value: getattr(value, "label", None),
)
async def test_the_line_and_the_headers_of_a_request(
    door: FrontDoor, query: int, sizes: list[int], status: int, body: Any, why: str
) -> None:
    answer = Answer("r-1")
    answer.begin(door.streaming, CONTENT_TYPE)
    key = b"status" if door.name == "edge" else b"statusCode"
    answer.put((b"{}" + END) if door.streaming else b'{"%s": "200"}' % key)
    answer.end()
    request = HttpRequest("GET", "/prod", "q" * query, headers_of(*sizes))
    delivered = await ask(door, answer, request)
    assert delivered.response.status == status, delivered.because
    if status == 200:
        assert not delivered.because
        return
    assert delivered.answer is None, "the function was invoked"
    if isinstance(body, dict):
        assert json.loads(delivered.response.body) == body
    else:
        assert body in delivered.response.body.decode()
    assert why in delivered.because
    most = [str(each.most) for each in door.head_limits]
    assert delivered.because.rpartition(" bytes, over the limit of ")[2] in most


@pytest.mark.parametrize(
    ("door", "status"),
    [(RestApi(), 502), (HttpApi(), 500), (HttpApiV1(), 500), (FunctionUrl(streaming=False), 200)],
    ids=lambda value: getattr(value, "label", value),
)
async def test_api_gateway_takes_ten_kilobytes_of_header_values(
    door: FrontDoor, status: int
) -> None:
    for size, expected in ((9_000, 200), (11_000, status)):
        headers = {f"x-{number}": "v" * (size // 10) for number in range(10)}
        answer = Answer("r-1")
        answer.begin(False, "application/json")
        answer.put(json.dumps({"statusCode": 200, "headers": headers, "body": ""}).encode())
        answer.end()
        delivered = await ask(door, answer)
        assert delivered.response.status == expected
        refused = "header values have 11" in delivered.because
        assert refused == (expected != 200)


async def test_a_stream_that_says_nothing_is_cut() -> None:
    """A comment line now and then keeps it: ASGI_STREAM_KEEPALIVE."""
    answer = Answer("r-1")
    answer.begin(True, CONTENT_TYPE)
    answer.put(b"{}" + END)
    delivered = await ask(RestApi(streaming=True, silence=0.5), answer)
    assert delivered.rest is not None
    pieces = aiter(delivered.rest)
    for _ in range(4):
        asyncio.get_running_loop().call_later(0.2, answer.put, b":\n\n")
        assert await anext(pieces) == b":\n\n"
    with pytest.raises(BrokenOff, match=r"the stream was silent for 0\.5 s"):
        await anext(pieces)
    answer.end()


def test_the_silence_that_a_rest_api_bears_is_aws_s() -> None:
    assert RestApi(streaming=True).silence == 300
    assert FunctionUrl().silence is None


class Held:
    """A stream of a Function URL that holds small chunks."""

    def __init__(self) -> None:
        self.answer = Answer("r-1")
        self.answer.begin(True, CONTENT_TYPE)

    async def ask(self, first: bytes = b"") -> tuple[bytes, AsyncIterator[bytes]]:
        """The body that came with the head, and what follows."""
        self.answer.put(b"{}" + END + first)
        delivered = await ask(FunctionUrl(hold_chunks=True), self.answer)
        assert isinstance(delivered.rest, Rest)
        return delivered.response.body, aiter(delivered.rest)


async def test_a_small_chunk_waits_for_the_next_one() -> None:
    """As users report of Function URLs; the last one waits for the end of the stream."""
    held = Held()
    body, pieces = await held.ask(b"with the head")
    assert body == b""
    held.answer.put(b"one")
    assert await anext(pieces) == b"with the head"
    following = asyncio.ensure_future(anext(pieces))
    held.answer.put(b"two")
    assert await following == b"one"
    following = asyncio.ensure_future(anext(pieces))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not following.done(), "it came although nothing came after it"
    held.answer.end()
    assert await following == b"two"
    assert [piece async for piece in pieces] == []


async def test_a_large_chunk_does_not_wait() -> None:
    held = Held()
    large = b"x" * SMALL_CHUNK
    body, pieces = await held.ask(large)
    assert body == large
    held.answer.put(b"small")
    held.answer.put(large)
    assert [await anext(pieces), await anext(pieces)] == [b"small", large]
    held.answer.end()
    assert [piece async for piece in pieces] == []


async def test_chunks_come_at_once_where_the_door_holds_none() -> None:
    answer = Answer("r-1")
    answer.begin(True, CONTENT_TYPE)
    answer.put(b"{}" + END + b"first")
    delivered = await ask(FunctionUrl(), answer)
    assert delivered.response.body == b"first"
    answer.put(b"one")
    assert delivered.rest is not None
    assert await anext(aiter(delivered.rest)) == b"one"
