"""The extension that has Lambda send SIGTERM, against Runtime APIs that take it and that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lamella.runtime import extension
from tests.waiting import until

pytestmark = pytest.mark.anyio

REGISTERED = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: e-1\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\nnot allowed"
NO_HTTP = b"SSH-2.0-OpenSSH_9\r\n\r\n"
HANG_UP = b""


@asynccontextmanager
async def answering(reply: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """A Runtime API that answers the first request so, and no other; its address, and requests."""
    requests: list[str] = []
    open_connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        requests.append((head + await reader.readexactly(13)).decode())
        writer.write(reply)
        if reply and (follows := await reader.read(1000)):
            requests.append(follows.decode())
            await reader.read()
        writer.close()
        await writer.wait_closed()
        open_connections.remove(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        server.close()
        await until(lambda: not open_connections)


async def test_it_registers_for_no_event_and_waits_for_one() -> None:
    async with answering(REGISTERED) as (address, requests):
        connection = await asyncio.to_thread(extension.register, address)
        assert connection is not None
        await until(lambda: len(requests) == 2)
        assert connection.fileno() >= 0, "it stays open"
        connection.close()
    register, wait = requests
    assert register.startswith("POST /2020-01-01/extension/register HTTP/1.1\r\n")
    assert register.endswith('{"events":[]}')
    assert wait.startswith("GET /2020-01-01/extension/event/next HTTP/1.1\r\n")
    assert "Lambda-Extension-Identifier: e-1\r\n" in wait


REFUSALS = {
    "refused": (REFUSED, "403"),
    "no HTTP": (NO_HTTP, "where a status line belongs"),
    "hung up": (HANG_UP, "closed"),
}


@pytest.mark.parametrize(("reply", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_without_it_the_environment_works_and_says_what_it_will_miss(
    reply: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with answering(reply) as (address, _):
        assert await asyncio.to_thread(extension.register, address) is None
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("No lifespan shutdown: the extension was not registered: ")
    assert reason in message


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:1"])
def test_no_runtime_api_is_the_same(address: str, caplog: pytest.LogCaptureFixture) -> None:
    assert extension.register(address) is None
    assert len(caplog.records) == 1
