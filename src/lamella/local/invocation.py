"""One invocation: what the runtime is handed, and the answer that comes back piece by piece."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lamella.local.pipe import Piece, Pipe

PIPE_LIMIT = 65_536
"""Bytes of a streamed answer that wait for the reader before the runtime is held up."""

ERROR_BODY_TRAILER = "lambda-runtime-function-error-body"

Status = Literal["success", "error"]


class Head(NamedTuple):
    """What is known of an answer before its body; `content_type` is the runtime's own."""

    status: Status
    streamed: bool
    content_type: str


@dataclass
class InvokeResult:
    """A whole answer. Times are `time.monotonic()`.

    `payload` is the result, or the error's JSON when `status` is "error". A streamed answer
    whose trailers report an error is a "success" in Lambda's terms, with `error` set.
    `response_at` is when the answer was complete, `finished_at` when the runtime asked for
    the next event (or its process was gone).
    """

    request_id: str
    status: Status
    payload: bytes
    streamed: bool
    content_type: str
    chunks: list[Piece]
    trailers: dict[str, str]
    error: dict[str, Any] | None
    response_at: float
    finished_at: float


class Answer:
    """The answer to one invocation, while it comes in.

    For its reader: `await head()`, then iterate over the pieces, then `error`, `trailers` and
    `await finished()`; or `await collect()` for all of it. A reader that stops early calls
    `abandon()`. For its writer: `begin`, `write`, `end`, or `fail`; then `finish`.
    """

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.error: dict[str, Any] | None = None
        self.trailers: dict[str, str] = {}
        self.response_at = 0.0
        self.finished_at = 0.0
        self._head: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self._complete = asyncio.Event()
        self._finished = asyncio.Event()
        self._pipe = Pipe(PIPE_LIMIT)

    # For the reader

    async def head(self) -> Head:
        """Status, mode and content type, once the runtime began to answer (or failed)."""
        return await asyncio.shield(self._head)

    async def pieces(self) -> AsyncIterator[Piece]:
        """The body as it arrives; ends early when the answer breaks off (see `error`)."""
        while (piece := await self._pipe.read()) is not None:
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.pieces():
            yield piece.data

    def abandon(self) -> None:
        """Stop reading: the function goes on, as Lambda lets it when a client hangs up."""
        self._pipe.abandon()

    async def complete(self) -> None:
        """Wait until the answer is all there, or has failed."""
        await self._complete.wait()

    async def finished(self) -> None:
        """Wait until the runtime asked for the next event, or is gone."""
        await self._finished.wait()

    async def collect(self) -> InvokeResult:
        """Read everything and wait until the invocation is finished."""
        head = await self.head()
        chunks = [piece async for piece in self.pieces()]
        await self.finished()
        return InvokeResult(
            request_id=self.request_id,
            status="error" if self.failed else "success",
            payload=b"".join(piece.data for piece in chunks),
            streamed=head.streamed,
            content_type=head.content_type,
            chunks=chunks,
            trailers=self.trailers,
            error=self.error,
            response_at=self.response_at,
            finished_at=self.finished_at,
        )

    # For the writer

    @property
    def ended(self) -> bool:
        """Whether the answer is complete, or failed for good."""
        return self.response_at > 0

    @property
    def failed(self) -> bool:
        """Whether the invocation is an error in Lambda's terms."""
        return self.error is not None and not self.trailers

    def begin(self, streamed: bool, content_type: str, status: Status = "success") -> None:
        """The runtime starts to answer."""
        self._head.set_result(Head(status, streamed, content_type))

    async def write(self, data: bytes) -> None:
        """One piece of the body; waits while the reader is PIPE_LIMIT bytes behind."""
        await self._pipe.write(data)

    def end(self, trailers: list[tuple[str, str]] | None = None) -> None:
        """The answer is complete; error trailers, if any, fill `error`."""
        if self.ended:
            return
        self.trailers = dict(trailers or [])
        if self.trailers:
            self.error = error_of_trailers(self.trailers)
        self.response_at = time.monotonic()
        self._pipe.end()
        self._complete.set()

    async def fail(self, error: dict[str, Any], payload: bytes | None = None) -> None:
        """The invocation failed; `payload` is the error as the runtime sent it.

        An answer that had begun to stream breaks off instead: its reader has the head already.
        """
        if self.ended:
            return
        self.error = error
        if not self._head.done():
            self.begin(False, "application/json", "error")
            await self.write(json.dumps(error).encode() if payload is None else payload)
        self.response_at = time.monotonic()
        self._pipe.end()
        self._complete.set()

    def finish(self) -> None:
        """The environment is done with this invocation."""
        self.finished_at = time.monotonic()
        self._finished.set()


def error_of_trailers(trailers: dict[str, str]) -> dict[str, Any] | None:
    """The error that a streamed answer's trailers carry (base64 of JSON), or None."""
    encoded = trailers.get(ERROR_BODY_TRAILER)
    if encoded is None:
        return None
    try:
        body = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return parse_error(encoded.encode(), "Function.Unknown")
    return parse_error(body, "Function.Unknown")


def parse_error(body: bytes, error_type: str) -> dict[str, Any]:
    """An error body as a dict; anything but a JSON object becomes the message of one."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    return {"errorMessage": body.decode("utf-8", "replace"), "errorType": error_type}


@dataclass
class Invocation:
    """What /next hands out; optional texts are "" where absent. `deadline_ms` is epoch ms."""

    event: bytes
    deadline_ms: int
    arn: str
    answer: Answer
    client_context: str = ""
    cognito_identity: str = ""
    tenant_id: str = ""
    trace_id: str = ""
    invocation_id: str = ""

    @property
    def request_id(self) -> str:
        """The id that /response and /error name."""
        return self.answer.request_id

    def headers(self, empty: bool = False) -> tuple[tuple[str, str], ...]:
        """The headers of /next. On demand Lambda leaves the empty ones out; managed instances
        may send them (`empty`), https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
        """
        named = (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", self.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(self.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", self.arn),
            ("Lambda-Runtime-Trace-Id", self.trace_id),
            ("Lambda-Runtime-Client-Context", self.client_context),
            ("Lambda-Runtime-Cognito-Identity", self.cognito_identity),
            ("Lambda-Runtime-Aws-Tenant-Id", self.tenant_id),
            ("Lambda-Runtime-Invocation-Id", self.invocation_id),
        )
        return tuple(pair for pair in named if pair[1] or empty)
