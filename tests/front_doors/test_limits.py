"""What front doors do to answers that fit Lambda and not the door: header values, and silence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lamella.front_doors import FunctionUrl, HttpApi, HttpApiV1, RestApi
from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import BrokenOff, Delivered, deliver
from lamella.front_doors.door import FrontDoor, HttpRequest
from lamella.front_doors.prelude import CONTENT_TYPE, END

pytestmark = pytest.mark.anyio


async def ask(door: FrontDoor, answer: Answer) -> Delivered:
    class Function:
        async def open(self, event: bytes | dict[str, Any]) -> Answer:
            return answer

    return await deliver(door, Function(), HttpRequest("GET", door.base_url("") or "/", "", []))


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
