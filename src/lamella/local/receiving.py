"""What the runtime posts to .../response, read into an invocation's answer."""

from __future__ import annotations

from typing import Any

import h11

from lamella.front_doors.answer import Answer
from lamella.local.http11 import Connection, Truncated
from lamella.local.replies import Refused, Reply, accepted

MAX_PAYLOAD = 6 * 1024 * 1024 + 100
"""Bytes of a buffered response: 6,291,556."""


class BrokenOff(Refused):
    """The response ended early: 400, and `error` is what the caller is to be told."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
        self.error = failure("Runtime.TruncatedResponse", f"The response broke off: {cause}")


def failure(error_type: str, message: str) -> dict[str, Any]:
    """An error as Lambda writes it."""
    return {"errorType": error_type, "errorMessage": message}


def is_streamed(connection: Connection) -> bool:
    """Whether a response comes as a stream. Raises Refused (400) for an unknown mode."""
    mode = connection.exchange.header("lambda-runtime-function-response-mode")
    if mode not in ("", "streaming"):
        raise Refused(400, "InvalidFunctionResponseMode", "Invalid function response mode")
    return bool(mode)


async def receive(connection: Connection, answer: Answer, streamed: bool) -> Reply:
    """Read the response into `answer`.

    Raises BrokenOff, and Refused (413) for a buffered one over MAX_PAYLOAD bytes, of which the
    caller has been told then.
    """
    try:
        if streamed:
            await _stream(connection, answer)
        else:
            await _buffer(connection, answer)
    except (Truncated, h11.RemoteProtocolError) as error:
        raise BrokenOff(error) from error
    return accepted()


async def _stream(connection: Connection, answer: Answer) -> None:
    answer.begin(True, _content_type(connection))
    async for piece in connection.body():
        await answer.write(piece)
    answer.end(connection.exchange.trailers)


async def _buffer(connection: Connection, answer: Answer) -> None:
    body, size = bytearray(), 0
    async for piece in connection.body():
        size += len(piece)
        if size <= MAX_PAYLOAD:
            body += piece
    if size > MAX_PAYLOAD:
        message = (
            f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
            f"({MAX_PAYLOAD} bytes)."
        )
        answer.fail(failure("Function.ResponseSizeTooLarge", message))
        message = f"Exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes)."
        raise Refused(413, "RequestEntityTooLarge", message)
    if not answer.ended:  # it may have run over its deadline while the body came in
        answer.begin(False, _content_type(connection))
        await answer.write(bytes(body))
        answer.end()


def _content_type(connection: Connection) -> str:
    return connection.exchange.header("content-type") or "application/octet-stream"
