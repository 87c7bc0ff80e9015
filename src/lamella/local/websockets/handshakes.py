"""The API's answers to handshakes that do not become connections, and the choice of subprotocol."""

from __future__ import annotations

from starlette.types import Send

from lamella.front_doors.door import HttpResponse, Trouble, json_response
from lamella.front_doors.results import sendable
from lamella.local.websockets.calls import Result

TROUBLES = {
    Trouble.NO_ROUTE: (403, "Forbidden"),
    Trouble.THROTTLED: (429, "Too Many Requests"),
    Trouble.TIMEOUT: (504, "Endpoint request timed out"),
}
"""Everything else is a 502: what clients report when the function behind $connect raises."""


def is_accepted(result: Result) -> bool:
    """Whether the result of $connect lets the client in."""
    return 200 <= result.status <= 299


def chosen_subprotocol(result: Result, offered: list[str]) -> str | None:
    """The subprotocol that the result names, if the client has offered it."""
    named = [value for name, value in result.headers if name == "sec-websocket-protocol"]
    return named[-1] if named and named[-1] in offered else None


def refusal(result: Result) -> HttpResponse:
    """The response of a result that does not let the client in."""
    return HttpResponse(result.status, sendable(result.headers), result.body)


def troubled(trouble: Trouble) -> HttpResponse:
    """The response where there is no result."""
    status, message = TROUBLES.get(trouble, (502, "Internal server error"))
    return json_response(status, {"message": message})


async def refuse(response: HttpResponse, send: Send) -> None:
    """Answer a handshake with a response (the ASGI extension `websocket.http.response`)."""
    headers = [(n.encode("latin-1"), v.encode("latin-1", "replace")) for n, v in response.headers]
    start = {"type": "websocket.http.response.start", "status": response.status}
    await send({**start, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.body})
