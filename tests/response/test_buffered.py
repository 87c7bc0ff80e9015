"""The buffered sink: a response is delivered once, and whole."""

from __future__ import annotations

import pytest

from lamella.response.sinks import BufferedSink
from lamella.types import Response
from tests.response.test_filters import keep

pytestmark = pytest.mark.anyio


async def test_parts_are_joined() -> None:
    delivered: list[Response] = []
    sink = BufferedSink(keep(delivered))
    sink.start(200, [(b"x-a", b"1")])
    await sink.write(b"abc")
    await sink.end(b"def")
    assert delivered == [Response(200, [(b"x-a", b"1")], b"abcdef")]


async def test_head_keeps_the_headers_and_has_no_body() -> None:
    delivered: list[Response] = []
    sink = BufferedSink(keep(delivered), head=True)
    sink.start(200, [(b"content-length", b"6")])
    await sink.write(b"abc")
    await sink.end(b"def")
    assert delivered == [Response(200, [(b"content-length", b"6")], b"")]


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_without_content_has_neither_body_nor_length(status: int) -> None:
    delivered: list[Response] = []
    sink = BufferedSink(keep(delivered))
    sink.start(status, [(b"etag", b'"1"'), (b"content-length", b"4")])
    await sink.write(b"nu")
    await sink.end(b"ll")
    assert delivered == [Response(status, [(b"etag", b'"1"')], b"")]
