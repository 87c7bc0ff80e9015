"""A played @connections server, and servers that misbehave, on loopback.

Written from the API's reference, not from Lamella's client: requests are read with h11.
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import unquote

import h11

Answer = tuple[int, bytes]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GONE: Answer = (410, b"")
LIMITED: Answer = (429, b'{"message":"Too Many Requests"}')
FORBIDDEN: Answer = (403, b'{"Message":"User: arn:aws:sts::1:role is not authorized"}')
TOO_LARGE: Answer = (413, b'{"message":"Request Too Long"}')


class Request(NamedTuple):
    """A request as it came: `target` undecoded, `headers` with lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class ApiGateway:
    """@connections of the API whose stage is `endpoint`; every connection id is open.

    Ids in `gone` are not; the next requests get the answers in `answers`, before anything else.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.requests: list[Request] = []
        self.messages: defaultdict[str, list[bytes]] = defaultdict(list)
        self.gone: set[str] = set()
        self.answers: list[Answer] = []
        self.delay = 0.0
        """Seconds that every answer takes."""
        self.opened = 0
        """TCP connections so far."""
        self.open = 0
        self.most_open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until the client closes it."""
        self.opened += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            parser = h11.Connection(h11.SERVER)
            while request := await read_request(parser, reader):
                self.requests.append(request)
                await asyncio.sleep(self.delay)
                status, body = self.answers.pop(0) if self.answers else self._answer(request)
                headers = [("Content-Length", str(len(body)))] if status != 204 else []
                for event in (
                    h11.Response(status_code=status, headers=headers),
                    h11.Data(data=body),
                    h11.EndOfMessage(),
                ):
                    writer.write(parser.send(event) or b"")
                parser.start_next_cycle()
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()

    def _answer(self, request: Request) -> Answer:
        stage, _, encoded = request.target.rpartition("/@connections/")
        if stage != "/" + self.endpoint.rpartition("/")[2]:
            return 403, b'{"message":"Forbidden"}'
        if request.headers.get("authorization", "")[:17] != "AWS4-HMAC-SHA256 ":
            return 403, b'{"message":"Missing Authentication Token"}'
        connection_id = unquote(encoded)
        if connection_id in self.gone:
            return GONE
        if request.method == "POST":
            if len(request.body) > 131_072:
                return TOO_LARGE
            self.messages[connection_id].append(request.body)
            return 200, b""
        self.gone.add(connection_id)  # DELETE
        return 204, b""


async def read_request(parser: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end."""
    head: h11.Request | None = None
    body = b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            fields = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode(), fields, body)
        else:
            return None


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port of loopback; connections that are still open are cut at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the end of the test; asyncio would report it
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()


@asynccontextmanager
async def api_gateway(stage: str = "prod") -> AsyncIterator[ApiGateway]:
    """A played API on a free port of loopback; its `endpoint` is what a client is given."""
    gateway = ApiGateway("")
    async with listening(gateway.serve) as port:
        gateway.endpoint = f"http://127.0.0.1:{port}/{stage}"
        yield gateway
