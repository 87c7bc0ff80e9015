"""What a function answers to an event: a writer fills it in pieces, a front door reads them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

PIPE_LIMIT = 65_536
"""Bytes of an answer that wait for the reader before the writer is held up."""

LOG_LINES = 100
"""How many of an invocation's last log lines its answer keeps."""

ERROR_BODY_TRAILER = "lambda-runtime-function-error-body"

Status = Literal["success", "error"]


class Piece(NamedTuple):
    """Bytes, and the `time.monotonic()` at which they were written."""

    at: float
    data: bytes


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
    `abandon()`. `log` has the lines that were logged meanwhile, and `init` the seconds that the
    init of its environment took, if this is the first event after it. `beginning` has the body's
    first `keep` bytes, for somebody who looks on; by default none.
    For its writer: `begin`, `write` (or `put` and `room`), `end`, or `fail`; then `finish`.
    Between the two lies a pipe that holds PIPE_LIMIT bytes.
    """

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.error: dict[str, Any] | None = None
        self.trailers: dict[str, str] = {}
        self.response_at = 0.0
        self.finished_at = 0.0
        self.abandoned = False
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.init: float | None = None
        self.keep = 0
        self.beginning = bytearray()
        self._head: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self._complete = asyncio.Event()
        self._finished = asyncio.Event()
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    # For the reader

    async def head(self) -> Head:
        """Status, mode and content type, once the runtime began to answer (or failed)."""
        return await asyncio.shield(self._head)

    async def pieces(self) -> AsyncIterator[Piece]:
        """The body as it arrives; ends early when the answer breaks off (see `error`)."""
        while self._pieces or not self.ended:
            if not self._pieces:
                self._readable.clear()
                await self._readable.wait()
                continue
            piece = self._pieces.popleft()
            self._size -= len(piece.data)
            if self._size < PIPE_LIMIT:
                self._writable.set()
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.pieces():
            yield piece.data

    def abandon(self) -> None:
        """Stop reading: the function goes on, as Lambda lets it when a client hangs up."""
        self.abandoned = True
        self._pieces.clear()
        self._size = 0
        self._writable.set()

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
    def begun(self) -> bool:
        """Whether there is a head."""
        return self._head.done()

    @property
    def ended(self) -> bool:
        """Whether the answer is complete, or failed for good."""
        return self.response_at > 0

    @property
    def failed(self) -> bool:
        """Whether the invocation is an error in Lambda's terms."""
        return self.error is not None and not self.trailers

    @property
    def failure(self) -> str:
        """The error in words: its type and its message."""
        error = self.error or {}
        return f"{error.get('errorType', '')}: {error.get('errorMessage', '')}"

    def begin(self, streamed: bool, content_type: str, status: Status = "success") -> None:
        """The runtime starts to answer."""
        self._head.set_result(Head(status, streamed, content_type))

    def put(self, data: bytes) -> None:
        """One piece of the body, whatever waits already; dropped when nobody will read it."""
        if self.ended:
            return
        self.beginning += data[: max(self.keep - len(self.beginning), 0)]
        if self.abandoned:
            return
        self._pieces.append(Piece(time.monotonic(), data))
        self._size += len(data)
        self._readable.set()
        if self._size >= PIPE_LIMIT:
            self._writable.clear()

    async def room(self) -> None:
        """Wait while the reader is PIPE_LIMIT bytes behind."""
        await self._writable.wait()

    async def write(self, data: bytes) -> None:
        """One piece of the body, once there is room for it, however large it is itself."""
        await self.room()
        self.put(data)

    def end(self, trailers: list[tuple[str, str]] | None = None) -> None:
        """The answer is complete; error trailers, if any, fill `error`."""
        if self.ended:
            return
        self.trailers = dict(trailers or [])
        if self.trailers:
            self.error = error_of_trailers(self.trailers)
        self._close()

    def fail(self, error: dict[str, Any], payload: bytes | None = None) -> None:
        """The invocation failed; `payload` is the error as the runtime sent it.

        An answer that had begun to stream breaks off instead: its reader has the head already.
        """
        if self.ended:
            return
        self.error = error
        if not self.begun:
            self.begin(False, "application/json", "error")
            self.put(json.dumps(error).encode() if payload is None else payload)
        self._close()

    def _close(self) -> None:
        self.response_at = time.monotonic()
        self._readable.set()
        self._writable.set()
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
        body = encoded.encode()
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
