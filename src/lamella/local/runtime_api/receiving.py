"""What the runtime posts to .../response, read into an invocation's answer."""

from __future__ import annotations

from typing import Any

import h11

from lamella.front_doors.answer import Answer
from lamella.local.runtime_api.http11 import ApiError, ServerConnection, Truncated

MAX_PAYLOAD = 6 * 1024 * 1024 + 100
"""Bytes of a buffered response: 6,291,556."""


class BrokenOff(ApiError):
    """The response ended early: 400, and `error` is what the caller is to be told."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
        self.error = failure("Runtime.TruncatedResponse", f"The response broke off: {cause}")


def failure(error_type: str, message: str) -> dict[str, Any]:
    """An error as Lambda writes it."""
    return {"errorType": error_type, "errorMessage": message}


def is_streamed(connection: ServerConnection) -> bool:
    """Whether a response comes as a stream. Raises ApiError (400) for an unknown mode."""
    mode = connection.exchange.header("lambda-runtime-function-response-mode")
    if mode not in ("", "streaming"):
        raise ApiError(400, "InvalidFunctionResponseMode", "Invalid function response mode")
    return bool(mode)


async def receive(connection: ServerConnection, answer: Answer, streamed: bool) -> None:
    """Read the response into `answer`.

    Raises BrokenOff, and ApiError (413) for a buffered one over MAX_PAYLOAD bytes, of which the
    caller has been told then.
    """
    content_type = connection.exchange.header("content-type") or "application/octet-stream"
    body, size = bytearray(), 0
    if streamed:
        answer.begin(True, content_type)
    try:
        async for piece in connection.body():
            size += len(piece)
            if streamed:
                await answer.write(piece)
            elif size <= MAX_PAYLOAD:
                body += piece
    except (Truncated, h11.RemoteProtocolError) as error:
        raise BrokenOff(error) from error
    if streamed:
        answer.end(connection.exchange.trailers)
    elif size > MAX_PAYLOAD:
        message = (
            f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
            f"({MAX_PAYLOAD} bytes)."
        )
        answer.fail(failure("Function.ResponseSizeTooLarge", message))
        message = f"Exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes)."
        raise ApiError(413, "RequestEntityTooLarge", message)
    elif not answer.ended:  # it may have run over its deadline while the body came in
        answer.begin(False, content_type)
        answer.put(bytes(body))
        answer.end()
