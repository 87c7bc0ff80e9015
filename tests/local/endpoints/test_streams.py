"""Streamed answers: when pieces arrive, trailers, and flow control."""

from __future__ import annotations

import asyncio

import pytest

from lamella.local.execution.environment import Environment
from lamella.local.runtime_api.traffic import Exchange
from tests.local.conftest import Configure
from tests.waiting import PATIENCE

pytestmark = pytest.mark.anyio


async def test_chunks_arrive_before_the_next_is_sent(configure: Configure) -> None:
    event = {"do": "stream", "chunks": ["one", "two", "three"], "confirmed": True}
    config, arrived = configure(), []
    async with Environment(config) as environment:
        answer = await environment.open(event)
        head = await answer.head()
        async for piece in answer:
            arrived.append(piece)
            assert not answer.ended
            (config.task_root / piece.decode()).touch()
        await answer.finished()
    assert head.streamed
    assert head.content_type == "text/plain"
    assert arrived == [b"one", b"two", b"three"]


async def test_the_wire_is_recorded_chunk_by_chunk(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        await environment.invoke({"do": "stream", "prelude": {}, "chunks": ["ab", "c" * 100_000]})
        (exchange,) = environment.traffic.matching("POST", "/response")
    assert exchange.header("lambda-runtime-function-response-mode") == "streaming"
    assert [chunk.size for chunk in exchange.chunks] == [10, 2, 100_000]
    assert exchange.received == 100_012
    assert exchange.status == 202


async def test_an_error_in_the_trailers_leaves_the_invocation_a_success(
    configure: Configure,
) -> None:
    error = {"errorMessage": "lost it", "errorType": "Broken"}
    async with Environment(configure()) as environment:
        result = await environment.invoke(
            {"do": "stream", "chunks": ["half"], "trailer_error": error}
        )
    assert result.status == "success"
    assert result.payload == b"half"
    assert result.trailers["lambda-runtime-function-error-type"] == "Runtime.StreamError"
    assert result.error == error


async def at_rest(exchange: Exchange) -> int:
    """The bytes received, once there were no more for 0.3 s."""
    received = -1
    while received != exchange.received:
        received = exchange.received
        await asyncio.sleep(0.3)
    return received


async def test_a_slow_reader_stops_the_runtime_from_sending(configure: Configure) -> None:
    """Of 64 MB only what sockets and one bounded pipe hold leaves the process."""
    async with Environment(configure()) as environment:
        answer = await environment.open({"do": "flood", "megabytes": 64})
        await answer.head()
        (exchange,) = environment.traffic.matching("POST", "/response")
        assert await at_rest(exchange) < 1_000_000, "nothing moves while nobody reads"
        size = 0
        async for piece in answer:
            size += len(piece)
        await answer.finished()
    assert size == 64 * 1024 * 1024


async def test_a_reader_that_leaves_does_not_stop_the_function(configure: Configure) -> None:
    async with Environment(configure()) as environment:
        answer = await environment.open({"do": "flood", "megabytes": 8})
        await answer.head()
        answer.abandon()
        await asyncio.wait_for(answer.finished(), PATIENCE)
        (exchange,) = environment.traffic.matching("POST", "/response")
    assert exchange.received == 8 * 1024 * 1024
    assert exchange.status == 202
