"""The function behind a WebSocket API: its result for each event, and the answer to a handshake.

A result is read as a Lambda proxy integration does it.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from starlette.types import Send

from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import Function, Throttled
from lamella.front_doors.door import HttpResponse, Malformed, Pairs, Trouble, json_response
from lamella.front_doors.results import (
    as_object,
    body_bytes,
    merged_headers,
    parsed,
    sendable,
    status_code,
)
from lamella.local.endpoints.event_line import EventLine, Report

TROUBLES = {
    Trouble.NO_ROUTE: (403, "Forbidden"),
    Trouble.THROTTLED: (429, "Too Many Requests"),
    Trouble.TIMEOUT: (504, "Endpoint request timed out"),
}
"""Everything else is a 502: what clients report when the function behind $connect raises."""


class ProxyResult(NamedTuple):
    """What the function answered; header names are lower case."""

    status: int
    headers: Pairs
    body: bytes

    @property
    def accepts(self) -> bool:
        """Whether the result of $connect lets the client in."""
        return 200 <= self.status <= 299

    def subprotocol(self, offered: list[str]) -> str | None:
        """The subprotocol that it names, if the client has offered it."""
        named = [value for name, value in self.headers if name == "sec-websocket-protocol"]
        return named[-1] if named and named[-1] in offered else None

    def refusal(self) -> HttpResponse:
        """The response to a client that is not let in."""
        return HttpResponse(self.status, sendable(self.headers), self.body)


class Failed(Exception):
    """There is no usable result; the message is the detail."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.trouble = trouble


class Integration:
    """The function behind every route; an event has `limit` seconds, `report` gets each."""

    def __init__(self, function: Function, limit: float, report: Report) -> None:
        self._function = function
        self._limit = limit
        self._report = report

    async def result(self, event: dict[str, Any]) -> ProxyResult:
        """The result of an event, as soon as the runtime has sent it. Raises Failed.

        What the function does after its answer runs on, and after the time limit too.
        """
        line = EventLine("WEBSOCKET", event["requestContext"]["routeKey"])
        answer: Answer | None = None
        try:
            answer = opened = await self._function.open(event)

            async def payload() -> bytes:
                return b"".join([piece async for piece in opened])

            value = await asyncio.wait_for(payload(), self._limit)
            if answer.error is None:
                result = as_object(parsed(value))
                body = body_bytes(result)
                line.status, line.size = status_code(result), len(body)
                if line.target == "$connect" and line.status == 403:
                    line.advice = "ASGI_WEBSOCKET_PATH is the path that the application sees"
                line.end(answer, self._report)
                return ProxyResult(line.status, merged_headers(result), body)
            failed = Failed(Trouble.FUNCTION_ERROR, answer.failure)
        except Throttled as throttled:
            failed = Failed(Trouble.THROTTLED, str(throttled))
        except TimeoutError:
            if answer is not None:
                answer.abandon()
            failed = Failed(Trouble.TIMEOUT, f"no answer within {self._limit} s")
        except Malformed as malformed:
            failed = Failed(Trouble.MALFORMED, str(malformed))
        line.because = f"{failed.trouble.value}: {failed}"
        line.end(answer, self._report)
        raise failed


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
