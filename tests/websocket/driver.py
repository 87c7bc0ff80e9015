"""WebSocket events through the service, as both ways in do it, before a played API Gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from lamella.errors import InvocationError
from lamella.invocation import Invocation, set_current
from lamella.life.leftovers import task_factory
from lamella.life.supervision import Alarm, supervise
from lamella.served import set_served
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.types import AnyASGIApp, Event, Message, Receive, Result, Scope, Send
from lamella.websocket import current, hub
from tests.websocket.api_gateway import ApiGateway, api_gateway

ID = "R1kmxc2VNjMCFIA="
HOST = "abc.execute-api.eu-west-1.amazonaws.com"


def connect_event(
    connection_id: str = ID, query: dict[str, str] | None = None, **more: str
) -> Event:
    """A $connect; `more` are headers with _ for -."""
    headers = {
        "Host": HOST,
        "Sec-WebSocket-Key": "a2V5",
        "Sec-WebSocket-Version": "13",
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    event: Event = {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": _context(connection_id, "$connect", "CONNECT"),
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
        event["multiValueQueryStringParameters"] = {k: [v] for k, v in query.items()}
    return event


def message_event(text: str, connection_id: str = ID, route: str = "$default") -> Event:
    """A message."""
    context = {**_context(connection_id, route, "MESSAGE"), "messageId": "m1"}
    return {"requestContext": context, "body": text, "isBase64Encoded": False}


def disconnect_event(connection_id: str = ID, code: int = 1001, reason: str = "") -> Event:
    """A $disconnect."""
    context = _context(connection_id, "$disconnect", "DISCONNECT")
    headers = {"Host": HOST, "x-api-key": "", "X-Forwarded-For": ""}
    return {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {**context, "disconnectStatusCode": code, "disconnectReason": reason},
        "isBase64Encoded": False,
    }


def _context(connection_id: str, route: str, kind: str) -> dict[str, Any]:
    return {
        "routeKey": route,
        "eventType": kind,
        "extendedRequestId": "R1koeHsUtjMFbRw=",
        "requestTime": "20/Jan/2024:11:55:08 +0000",
        "messageDirection": "IN",
        "stage": "prod",
        "connectedAt": 1705751697419,
        "requestTimeEpoch": 1705751708326,
        "identity": {"sourceIp": "192.0.2.7", "userAgent": "test"},
        "requestId": "R1koeHsUtjMFbRw=",
        "domainName": HOST,
        "connectionId": connection_id,
        "apiId": "abc",
    }


class Recorded:
    """The outcome of an event, and what API Gateway had been sent when it left."""

    def __init__(self, at_once: bool, gateway: ApiGateway) -> None:
        self.at_once = at_once
        self.result: Any = None
        self.error: InvocationError | None = None
        self.sent_before = 0
        self._gateway = gateway

    def send(self, result: Result) -> None:
        assert self.result is None, "answered twice"
        self.result = result
        self.sent_before = len(self._gateway.requests)

    def fail(self, error: InvocationError) -> None:
        self.error = error

    @property
    def status(self) -> int:
        status: int = self.result["statusCode"]
        return status


class Driver:
    """A function behind a WebSocket API; `environments` share nothing but the store."""

    def __init__(
        self, gateway: ApiGateway, app: AnyASGIApp, at_once: bool, **settings: Any
    ) -> None:
        self.gateway = gateway
        self.at_once = at_once
        self.timeout = 5.0
        settings.setdefault("websocket_store", "memory:")
        settings.setdefault("websocket_endpoint", gateway.endpoint)
        self.service = Service(app, from_arguments(settings))
        set_served(self.service.served)

    async def __call__(self, event: Event) -> Recorded:
        """Serve one event to its end, as an invocation of its own."""
        return await asyncio.get_running_loop().create_task(self.serve(event))

    async def serve(self, event: Event) -> Recorded:
        """Serve one event in this task, which is to raise what ends the environment."""
        reply = Recorded(self.at_once, self.gateway)
        invocation = Invocation(event, None)
        set_current(invocation)
        cycle = self.service.open(invocation, reply)
        if cycle is not None:
            alarm = Alarm(asyncio.get_running_loop())
            try:
                await supervise(cycle, self.service.app, self.service.settings, self.timeout, alarm)
            finally:
                alarm.cancel()
        return reply

    async def connect(self, connection_id: str = ID, **more: Any) -> Recorded:
        return await self(connect_event(connection_id, **more))

    async def message(self, text: str, connection_id: str = ID) -> Recorded:
        return await self(message_event(text, connection_id))

    async def disconnect(self, connection_id: str = ID, code: int = 1001) -> Recorded:
        return await self(disconnect_event(connection_id, code))

    @property
    def hub(self) -> hub.Hub:
        """What the function's WebSockets share."""
        return current.here()

    async def kept(self, connection_id: str = ID) -> Any:
        """What is kept of a connection, None where that is nothing."""
        row = await self.hub.store.get(connection_id)
        return row and row.document

    def sent(self, connection_id: str = ID) -> list[str]:
        """What the client got."""
        return [data.decode() for data in self.gateway.messages[connection_id]]

    def closed(self, connection_id: str = ID) -> bool:
        """Whether the application has closed the connection."""
        return connection_id in self.gateway.gone


def accepting(*messages: Message, then_receive: bool = True) -> AnyASGIApp:
    """An application that accepts, sends these messages, and receives until it is cancelled."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for message in messages:
            await send(message)
        while then_receive:
            await receive()

    return app


async def write_session(scope: Scope, receive: Receive, send: Send) -> None:
    """Keeps each message as the last one, and answers it."""
    session = scope["extensions"]["lamella.websocket"]["session"]
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        session["last"] = message["text"]
        await send({"type": "websocket.send", "text": "ok"})


async def side_by_side(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them as Quart runs a reader and a handler: the first end is the other's end."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


Worker = Callable[[asyncio.Queue[Message], Send], Coroutine[Any, Any, None]]


async def read_ahead(
    receive: Receive, send: Send, work: Worker, together: Any = side_by_side
) -> None:
    """One task reads into a queue while another one works, as Quart has it."""
    queue: asyncio.Queue[Message] = asyncio.Queue()

    async def read() -> None:
        while True:
            queue.put_nowait(await receive())

    await together(read(), work(queue, send))


@asynccontextmanager
async def driving(app: AnyASGIApp, at_once: bool = True, **settings: Any) -> AsyncIterator[Driver]:
    """A driver before a gateway of its own, with a store that nothing is in."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(task_factory)
    settings.setdefault("websocket_store", "memory:")
    async with api_gateway() as gateway:
        try:
            yield Driver(gateway, app, at_once, **settings)
        finally:
            await hub.close()
            loop.set_task_factory(None)
