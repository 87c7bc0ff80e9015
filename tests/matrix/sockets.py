"""What an application has to be able to do over WebSockets, and the API that it is asked through.

The examples share one endpoint, at /ws: it accepts, sends "welcome", answers every message with
something that has the message's "msg" in it, and prints LEFT when the client has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from lamella.local.config import FunctionConfig
from lamella.local.endpoints.event_line import EventLine
from lamella.local.endpoints.server import LocalServer, bound_socket, origin_of
from lamella.local.endpoints.websockets.api import WebSocketApi, credentials_of, with_websockets
from lamella.local.endpoints.websockets.gateway import WebSocketGateway
from lamella.local.execution.function import LocalFunction
from tests.waiting import until

LEFT = "the client left"
LIMIT = 30.0
"""Seconds that an answer may take; the machine that runs the tests may be busy."""


class SocketClient:
    """Clients of one API. `early` says whether a greeting comes before the first message; `log`
    has the lines of function and gateway."""

    def __init__(self, url: str, log: list[str], *, early: bool) -> None:
        self.early = early
        self._url = url
        self.log = log

    def connect(self, path: str = "/ws", subprotocol: str = "") -> connect:
        """A client that is about to connect."""
        url = f"{self._url}?{urlencode({'path': path})}"
        offered = [Subprotocol(subprotocol)] if subprotocol else None
        return connect(url, proxy=None, subprotocols=offered)

    @contextlib.asynccontextmanager
    async def greeted(self) -> AsyncIterator[ClientConnection]:
        """A client of /ws that has its greeting and one answer."""
        async with self.connect() as client:
            if self.early:
                assert await receive(client) == "welcome"
            await client.send('{"msg": "hello"}')
            if not self.early:
                assert await receive(client) == "welcome"
            assert "hello" in await receive(client)
            yield client

    def said(self, text: str) -> int:
        """How often that is in the function's log."""
        return sum(text in line for line in self.log)


SocketCheck = Callable[[SocketClient], Awaitable[None]]
SocketContract = Mapping[str, SocketCheck]


async def receive(client: ClientConnection) -> str:
    """The client's next message. Raises `TimeoutError`, `ConnectionClosed`."""
    message = await asyncio.wait_for(client.recv(), LIMIT)
    assert isinstance(message, str)
    return message


async def check_websocket(client: SocketClient) -> None:
    """No way in where there is no route; a greeting, once; and an answer to every message."""
    with contextlib.suppress(InvalidStatus):  # any status but that of a WebSocket
        async with client.connect("/missing"):
            raise AssertionError("a client is in where there is no route")
    async with client.greeted() as socket:
        for word in ("one", "two", "three"):
            await socket.send(json.dumps({"msg": word}))
            assert word in await receive(socket)
    assert not client.said("still at work"), "an event waited for what only the next one brings"


async def check_end(client: SocketClient) -> None:
    """The endpoint hears of the client's end: once, and not before."""
    async with client.greeted() as socket:
        await socket.send('{"msg": "bye"}')
        assert "bye" in await receive(socket)
        assert not client.said(LEFT), "it was told that the client had left, who had not"
    await until(lambda: client.said(LEFT) > 0, LIMIT)
    assert client.said(LEFT) == 1


WEBSOCKET: SocketContract = {"WebSocket": check_websocket, "WS end": check_end}


async def check_graphql(client: SocketClient) -> None:
    """A subscription in the protocol graphql-transport-ws."""
    async with client.connect("/graphql", "graphql-transport-ws") as socket:
        assert socket.subprotocol == "graphql-transport-ws"
        await socket.send('{"type": "connection_init"}')
        assert json.loads(await receive(socket))["type"] == "connection_ack"
        subscribe = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { ticks }"}}
        await socket.send(json.dumps(subscribe))
        answers = [json.loads(await receive(socket)) for _ in range(4)]
        assert [answer["type"] for answer in answers] == ["next"] * 3 + ["complete"]


GRAPHQL_WEBSOCKET: SocketContract = {"WebSocket": check_graphql}


@contextlib.asynccontextmanager
async def socket_client(
    config: FunctionConfig, folder: Path, *, early: bool
) -> AsyncIterator[SocketClient]:
    """Serve a function behind a WebSocket API, its events in turn on two environments.

    Raises RuntimeError where they do not start.
    """
    api, log = WebSocketApi(), list[str]()
    with bound_socket(0) as listening:
        placed = {**config.environment, "ASGI_WEBSOCKET_PATH": "query:path"}
        variables = with_websockets(placed, api.endpoint(origin_of(listening)), folder)
        config = replace(config, environment=variables)
        async with LocalFunction(config, spread=2, log=log.append) as function:
            if (failure := await function.warm()) is not None:
                raise RuntimeError("\n".join([f"WebSocket: {failure}", *log[-40:]]))

            def report(event: EventLine) -> None:
                log.append(str(event))

            signing = credentials_of(variables), config.region
            gateway = WebSocketGateway(function, api, report, *signing)
            server = LocalServer(gateway, listening, websockets=True)
            serving = asyncio.ensure_future(server.serve())
            try:
                yield SocketClient(api.base_url(server.origin), log, early=early)
            finally:
                await gateway.close()
                server.stop()
                await serving
