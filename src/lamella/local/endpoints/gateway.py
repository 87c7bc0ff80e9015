"""The ASGI application between a web server and a function: one front door, served.

Whatever the client does, the function runs to its end: on AWS a client that hangs up does not
stop an invocation either.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from lamella.front_doors.delivery import BrokenOff, Delivered, Function, deliver
from lamella.front_doors.door import FrontDoor, HttpRequest, HttpResponse
from lamella.local.endpoints.event_line import EventLine, Report


class Gateway:
    """`Gateway(function, door, report).app` is the ASGI application; `report` gets each request."""

    def __init__(self, function: Function, door: FrontDoor, report: Report) -> None:
        self._function = function
        self._door = door
        self._report = report

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request, from the client to the function and back.

        What cannot be sent to the client is raised for the web server, which then drops the
        connection: a body longer than its content-length, for one.
        """
        target = scope["raw_path"] + (scope["query_string"] and b"?" + scope["query_string"])
        line = EventLine(scope["method"], target.decode("latin-1"))
        if (b"upgrade", b"websocket") in scope["headers"]:
            line.advice = "a WebSocket needs --front-door websocket"
        delivered: Delivered | None = None
        try:
            body = await body_of(scope, receive, self._door.max_body)
            request = request_of(scope, body)
            delivered = await deliver(self._door, self._function, request)
            line.because, rest, sending = delivered.because, delivered.rest, line.counted(send)
            await respond(delivered.response, sending, more=rest is not None)
            if rest is not None:
                async for piece in rest:
                    await sending({"type": "http.response.body", "body": piece, "more_body": True})
                await sending({"type": "http.response.body", "body": b""})
        except ClientDisconnect:
            line.because = "the client left before it had sent its request"
        except BrokenOff as broken:
            # The head is out: all that is left is to close the connection without the last
            # chunk, which the web server does for an application that just returns.
            line.because = str(broken)
        except Exception as error:
            line.because = f"{type(error).__name__}: {error}"
            raise
        finally:
            line.end(delivered and delivered.answer, self._report)

    async def close(self) -> None:
        """Nothing: requests in flight are the web server's to end."""


async def body_of(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body of a request, or more than `limit` bytes of it. Raises ClientDisconnect."""
    body = bytearray()
    async for piece in Request(scope, receive).stream():
        body += piece
        if len(body) > limit:
            break
    return bytes(body)


def request_of(scope: Scope, body: bytes) -> HttpRequest:
    """The request of an HTTP scope, or the handshake of a WebSocket's."""
    headers = [
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in scope["headers"]
    ]
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


async def respond(response: HttpResponse, send: Send, *, more: bool = False) -> None:
    """Send a response; the whole of it unless there is `more`."""
    headers = [(n.encode("latin-1"), v.encode("latin-1", "replace")) for n, v in response.headers]
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    await send(start)
    if response.body or not more:
        await send({"type": "http.response.body", "body": response.body, "more_body": more})
