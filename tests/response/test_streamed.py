"""The streamed sink: what leaves, and when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lamella.response.sinks import HEADERS_PATIENCE, StreamedSink
from lamella.response.wire import DELIMITER
from lamella.types import Headers

pytestmark = pytest.mark.anyio


class RecordingStream:
    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.ended: list[BaseException | None] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        self.writes.append(data)
        self.ended.append(error)


def prelude(status: int, headers: Headers) -> dict[str, Any]:
    return {"statusCode": status, "headers": {k.decode(): v.decode() for k, v in headers}}


def opened(*, head: bool = False) -> tuple[StreamedSink, RecordingStream]:
    stream = RecordingStream()
    return StreamedSink(stream, prelude, head), stream


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    head, _, body = data.partition(DELIMITER)
    return json.loads(head), body


async def test_prelude_and_first_bytes_leave_in_one_write() -> None:
    sink, stream = opened()
    sink.start(201, [(b"x-a", b"1")])
    assert stream.writes == []
    await sink.write(b"one")
    await sink.write(b"two")
    await sink.end(b"three")
    metadata, body = split(stream.writes[0])
    assert metadata == {"statusCode": 201, "headers": {"x-a": "1"}}
    assert [body, *stream.writes[1:]] == [b"one", b"two", b"three"]
    assert stream.ended == [None]


async def test_headers_leave_alone_when_the_body_is_late() -> None:
    sink, stream = opened()
    sink.start(200, [])
    await asyncio.sleep(HEADERS_PATIENCE * 2)
    assert split(stream.writes[0]) == ({"statusCode": 200, "headers": {}}, b"")
    await sink.write(b"event")
    assert stream.writes[1:] == [b"event"]


@pytest.mark.parametrize("status", [200, 302, 404])
async def test_an_empty_body_carries_its_length(status: int) -> None:
    sink, stream = opened()
    sink.start(status, [])
    await asyncio.sleep(HEADERS_PATIENCE * 2 if status == 302 else 0)
    await sink.end(b"")
    metadata, body = split(stream.writes[0])
    assert metadata["headers"] == {"content-length": "0"}
    assert body == b""


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")]])
@pytest.mark.parametrize("body", [[b""], [b"12345"], [b"123", b"45"]])
async def test_head_has_the_length_of_get_or_none(headers: Headers, body: list[bytes]) -> None:
    """RFC 9110, section 8.6: a length is that of the answer to GET, and 0 would be none."""
    sink, stream = opened(head=True)
    sink.start(200, headers)
    for part in body[:-1]:
        await sink.write(part)
    await sink.end(body[-1])
    expected = {name.decode(): value.decode() for name, value in headers}
    assert split(b"".join(stream.writes)) == ({"statusCode": 200, "headers": expected}, b"")


async def test_head_of_a_failure_has_neither_text_nor_length() -> None:
    sink, stream = opened(head=True)
    sink.fail(500, "Internal Server Error")
    metadata, body = split(stream.writes[0])
    assert metadata["headers"] == {"content-type": "text/plain; charset=utf-8"}
    assert body == b""


@pytest.mark.parametrize("body", [[b""], [b"null"], [b"nu", b"ll"]])
@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_without_content_has_neither_body_nor_length(
    status: int, body: list[bytes]
) -> None:
    sink, stream = opened()
    sink.start(status, [(b"etag", b'"1"'), (b"content-length", b"4")])
    for part in body[:-1]:
        await sink.write(part)
    await sink.end(body[-1])
    headers = {"etag": '"1"'}
    assert split(b"".join(stream.writes)) == ({"statusCode": status, "headers": headers}, b"")


async def test_an_error_before_the_first_byte_is_an_ordinary_500() -> None:
    sink, stream = opened()
    sink.start(200, [(b"x-a", b"1")])
    sink.fail(500, "Internal Server Error", ValueError("secret"))
    metadata, body = split(stream.writes[0])
    assert metadata["statusCode"] == 500
    assert body == b"Internal Server Error"
    assert stream.ended == [None]


async def test_an_error_after_the_first_byte_goes_into_the_trailers() -> None:
    sink, stream = opened()
    error = ValueError("boom")
    sink.start(200, [])
    await sink.write(b"one")
    sink.fail(500, "Internal Server Error", error)
    sink.fail(504, "too late", None)
    assert stream.ended == [error]


async def test_a_failure_after_the_end_changes_nothing() -> None:
    sink, stream = opened()
    sink.start(200, [])
    await sink.end(b"all")
    sink.fail(504, "too late")
    assert stream.ended == [None]
