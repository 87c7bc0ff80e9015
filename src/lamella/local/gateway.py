"""The ASGI application between a web server and a function: one front door, served.

Whatever the client does, the function runs to its end: on AWS a client that hangs up does not
stop an invocation either.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from lamella.front_doors.door import (
    MAX_EVENT,
    FrontDoor,
    HttpRequest,
    HttpResponse,
    Malformed,
    Pairs,
    Refused,
    Trouble,
)
from lamella.front_doors.prelude import CONTENT_TYPE, read_prelude
from lamella.local.function import Throttled
from lamella.local.invocation import Answer, Head
from lamella.local.process import LineCallback

NO_BODY = frozenset({204, 304})
"""Statuses that HTTP allows no body."""


class Function(Protocol):
    """What is behind a gateway: a `LocalFunction`, or one in a test's own process."""

    async def open(self, event: bytes | dict[str, Any]) -> Answer:
        """Send one event; the answer can be read while it comes in. Raises Throttled."""


class Gateway:
    """`Gateway(function, door, log).app` is the ASGI application; `log` gets its lines."""

    def __init__(self, function: Function, door: FrontDoor, log: LineCallback) -> None:
        self._function = function
        self._door = door
        self._log = log

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, from the client to the function and back.

        What cannot be sent to the client is logged, and raised for the web server, which then
        drops the connection: a body longer than its content-length, for one.
        """
        try:
            await self._serve(scope, receive, send)
        except Exception as error:
            self._log(f"{self._door.name}: {type(error).__name__}: {error}")
            raise

    async def close(self) -> None:
        """Nothing: requests in flight are the web server's to end."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope, b"")
        try:
            request = request_of(scope, await self._body(Request(scope, receive)))
            answer = await self._function.open(self._event(request))
            head = await asyncio.wait_for(answer.head(), self._door.time_limit)
        except ClientDisconnect:
            return
        except Refused as refused:
            await self._trouble(refused.trouble, request, str(refused), send)
        except Throttled as throttled:
            await self._trouble(Trouble.THROTTLED, request, str(throttled), send)
        except asyncio.TimeoutError:
            answer.abandon()
            limit = f"no answer within {self._door.time_limit} s"
            await self._trouble(Trouble.TIMEOUT, request, limit, send)
        else:
            await self._deliver(answer, head, request, send)

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._door.max_body:
                raise Refused(Trouble.TOO_LARGE)
        return bytes(body)

    def _event(self, request: HttpRequest) -> bytes:
        event = json.dumps(self._door.event(request), ensure_ascii=False)
        encoded = event.encode("utf-8", "surrogateescape")
        if len(encoded) > MAX_EVENT:
            raise Refused(Trouble.TOO_LARGE)
        return encoded

    async def _deliver(self, answer: Answer, head: Head, request: HttpRequest, send: Send) -> None:
        if head.status == "error":
            await self._trouble(Trouble.FUNCTION_ERROR, request, _message(answer), send)
        elif self._door.streaming:
            await self._stream(answer, head, request, send)
        else:
            await self._buffered(answer, request, send)

    async def _buffered(self, answer: Answer, request: HttpRequest, send: Send) -> None:
        payload = b"".join([piece async for piece in answer])
        if answer.error is not None:
            await self._trouble(Trouble.FUNCTION_ERROR, request, _message(answer), send)
            return
        try:
            response = self._door.response(payload, request)
        except Malformed as malformed:
            await self._trouble(Trouble.MALFORMED, request, str(malformed), send)
        else:
            await respond(response, self._door.added_headers(request), send)

    async def _stream(self, answer: Answer, head: Head, request: HttpRequest, send: Send) -> None:
        pieces = answer.__aiter__()
        try:
            start, first = await self._start(pieces, head)
        except Malformed as malformed:
            answer.abandon()
            await self._trouble(Trouble.BAD_PRELUDE, request, str(malformed), send)
            return
        await send(_start_message(start, self._door.added_headers(request)))
        if first:
            await send({"type": "http.response.body", "body": first, "more_body": True})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if answer.error is None:
            await send({"type": "http.response.body", "body": b""})
        else:
            # The head is out: all that is left is to close the connection without the last
            # chunk, which the web server does for an application that just returns.
            self._log(f"{self._door.name}: the stream broke off: {_message(answer)}")

    async def _start(self, pieces: AsyncIterator[bytes], head: Head) -> tuple[HttpResponse, bytes]:
        if head.content_type.partition(";")[0].strip() == CONTENT_TYPE:
            prelude, first = await read_prelude(pieces)
            return self._door.stream_head(prelude), first
        if self._door.name == "rest":
            raise Malformed(f"the content type is {head.content_type!r}, not {CONTENT_TYPE!r}")
        plain = {"headers": {"content-type": head.content_type}}
        return self._door.stream_head(plain), b""

    async def _trouble(
        self, trouble: Trouble, request: HttpRequest, detail: str, send: Send
    ) -> None:
        response = self._door.trouble(trouble)
        told = "" if detail == trouble.value else f": {detail}"
        self._log(f"{self._door.name}: {response.status}, because {trouble.value}{told}")
        await respond(response, self._door.added_headers(request), send)


def request_of(scope: Scope, body: bytes) -> HttpRequest:
    """The request of an HTTP scope, or the handshake of a WebSocket's."""
    headers = [(n.decode("latin-1"), v.decode("utf-8", "replace")) for n, v in scope["headers"]]
    return HttpRequest(
        method=scope.get("method", "GET"),
        raw_path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        scheme=scope["scheme"].replace("ws", "http"),
        client_ip=(scope.get("client") or ("127.0.0.1", 0))[0],
        port=(scope.get("server") or ("127.0.0.1", 80))[1],
    )


def _message(answer: Answer) -> str:
    error = answer.error or {}
    return f"{error.get('errorType', '')}: {error.get('errorMessage', '')}"


async def respond(response: HttpResponse, added: Pairs, send: Send) -> None:
    """Send a whole response; `added` are headers that it gets besides its own."""
    bodiless = response.status in NO_BODY
    body = b"" if bodiless else response.body
    length = [] if bodiless else [("content-length", str(len(body)))]
    await send(_start_message(response, added + length))
    await send({"type": "http.response.body", "body": body})


def _start_message(response: HttpResponse, added: Pairs) -> dict[str, object]:
    headers = response.headers + added
    if all(name != "date" for name, _ in headers):
        headers = [("date", formatdate(usegmt=True)), *headers]
    pairs = [(n.encode("latin-1"), v.encode("latin-1", "replace")) for n, v in headers]
    return {"type": "http.response.start", "status": response.status, "headers": pairs}
