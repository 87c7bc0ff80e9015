"""The wrappers around a sink."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lamella.errors import InvocationError
from lamella.response.filters import FailingStatus, WithoutHeaders
from lamella.response.sinks import BufferedSink
from lamella.settings import from_arguments
from lamella.types import Response

pytestmark = pytest.mark.anyio


def keep(delivered: list[Response]) -> Callable[[Response], int]:
    """What delivers into a list."""

    def deliver(response: Response) -> int:
        delivered.append(response)
        return response.status

    return deliver


async def test_E21_excluded_headers_never_leave() -> None:
    delivered: list[Response] = []
    names = from_arguments({"exclude_headers": "X-Secret, server"}).exclude_headers
    sink = WithoutHeaders(BufferedSink(keep(delivered)), names)
    sink.start(200, [(b"x-secret", b"1"), (b"x-open", b"2"), (b"server", b"3")])
    await sink.end(b"")
    assert delivered[0].headers == [(b"x-open", b"2")]


def failing(ranges: str) -> tuple[FailingStatus, list[Response], list[InvocationError]]:
    delivered: list[Response] = []
    refused: list[InvocationError] = []
    statuses = from_arguments({"error_status": ranges}).error_status
    return (
        FailingStatus(BufferedSink(keep(delivered)), statuses, refused.append),
        delivered,
        refused,
    )


async def test_D6_a_failing_status_fails_the_invocation() -> None:
    sink, delivered, refused = failing("500-599")
    sink.start(503, [])
    await sink.write(b"try ")
    await sink.end(b"later")
    assert delivered == []
    assert "answered 503" in str(refused[0])
    assert "try later" in str(refused[0])


async def test_other_statuses_pass() -> None:
    sink, delivered, refused = failing("500-599")
    sink.start(404, [])
    await sink.write(b"no")
    await sink.end(b"!")
    assert delivered == [Response(404, [], b"no!")]
    assert refused == []


async def test_a_crash_after_a_good_status_fails_once() -> None:
    sink, delivered, refused = failing("500")
    sink.start(200, [])
    sink.fail(500, "Internal Server Error")
    sink.fail(500, "Internal Server Error")
    assert delivered == []
    assert len(refused) == 1
