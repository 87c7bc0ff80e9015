"""A function behind a local WebSocket API, its clients, and requests to @connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from websockets.asyncio.client import ClientConnection, connect

from lamella.local.config import FunctionConfig
from lamella.local.endpoints.event_line import EventLine
from lamella.local.endpoints.server import LocalServer, bound_socket, origin_of
from lamella.local.endpoints.websockets.api import WebSocketApi, credentials_of, with_websockets
from lamella.local.endpoints.websockets.gateway import WebSocketGateway
from lamella.local.execution.function import LocalFunction
from tests.waiting import until

REGION = "us-east-1"
LOCAL = Credentials("local", "local")


class Served:
    """What a test needs of it; `log` has the lines of function and gateway."""

    def __init__(
        self, api: WebSocketApi, origin: str, function: LocalFunction, log: list[str]
    ) -> None:
        self.url = api.base_url(origin)
        self.origin = origin
        self.endpoint = api.endpoint(origin)
        self.function = function
        self.log = log

    def connect(self, path: str = "", wish: Any = None, **options: Any) -> connect:
        """A client; `wish` is what the function does at $connect."""
        query = "?" + urlencode({"wish": json.dumps(wish)}) if wish else ""
        return connect(self.url + path + query, proxy=None, **options)

    def events(self, event_type: str = "") -> list[dict[str, Any]]:
        """The events that the function got, in the order of its log."""
        lines = [line for line in self.log if line.startswith("websocket {")]
        events = [json.loads(line.partition(" ")[2]) for line in lines]
        wanted = (event_type,) if event_type else ("CONNECT", "MESSAGE", "DISCONNECT")
        return [each for each in events if each["requestContext"]["eventType"] in wanted]

    async def event(self, event_type: str) -> dict[str, Any]:
        """The last event of a type, which may still be on its way."""
        await until(lambda: bool(self.events(event_type)))
        return self.events(event_type)[-1]

    async def messages(self, count: int) -> None:
        """Wait until the function got so many messages."""
        await until(lambda: len(self.events("MESSAGE")) == count)

    async def id(self) -> str:
        """The connection's id."""
        value = (await self.event("CONNECT"))["requestContext"]["connectionId"]
        assert isinstance(value, str)
        return value

    async def manage(
        self, method: str, connection_id: str, body: bytes = b"", **options: Any
    ) -> httpx.Response:
        """A signed request to @connections."""
        url = f"{self.endpoint}/@connections/{quote(connection_id, safe='')}"
        headers = signed(method, url, body, **options)
        async with httpx.AsyncClient(timeout=30) as client:
            return await client.request(method, url, content=body, headers=headers)


def signed(
    method: str,
    url: str,
    body: bytes = b"",
    credentials: Credentials = LOCAL,
    service: str = "execute-api",
    region: str = REGION,
    headers: Mapping[str, str] = {},
) -> dict[str, str]:
    """The headers of a request as botocore signs it, `headers` among them."""
    request = AWSRequest(method, url, dict(headers), data=body)
    SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers)


@contextlib.asynccontextmanager
async def serving(
    config: FunctionConfig, api: WebSocketApi | None = None, **options: Any
) -> AsyncIterator[Served]:
    """Serve the function, with the variables that `lamella run` gives it; `options` are a
    LocalFunction's."""
    api = api or WebSocketApi()
    log: list[str] = []
    with bound_socket(0) as listening, tempfile.TemporaryDirectory() as folder:
        endpoint = api.endpoint(origin_of(listening))
        variables = with_websockets(config.environment, endpoint, Path(folder))
        config = replace(config, environment=variables)
        async with LocalFunction(config, log=log.append, **options) as function:

            def report(event: EventLine) -> None:
                log.append(str(event))

            signing = credentials_of(variables), config.region
            gateway = WebSocketGateway(function, api, report, *signing)
            server = LocalServer(gateway, listening, websockets=True)
            running = asyncio.ensure_future(server.serve())
            try:
                yield Served(api, server.origin, function, log)
            finally:
                await gateway.close()
                server.stop()
                await running


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    """Wait for the end of a connection; its code and reason."""
    await asyncio.wait_for(client.wait_closed(), 30)
    return client.close_code, client.close_reason
