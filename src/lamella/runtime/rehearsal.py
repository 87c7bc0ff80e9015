"""A Runtime API in memory: the requests of a warm-up take the whole way of an event.

Slot ──GET /next─────▶ Stage: holds it until there is an event    no socket, and no Lambda
     ◀─event──────────
     ──POST /response▶ keeps the status, and throws the rest away
     ──GET /next─────▶ all work of the request has ended, too
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from lamella.errors import InitError, described
from lamella.http1 import Reply, ReplyReader
from lamella.response.wire import DELIMITER, encode_json, last_chunk
from lamella.runtime.client import API
from lamella.runtime.connection import Connection
from lamella.types import Event
from lamella.warmup import has_ended

ENOUGH = 1024 * 1024
"""Bytes of a streamed answer, which may have no end, after which its client leaves."""

_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class Stage(asyncio.Transport):
    """The other end of one slot's connections, which it makes with `connect`."""

    def __init__(self, function_arn: str) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._function_arn = function_arn
        self._event: bytes | None = None
        self._asks = False  # the slot, for an event
        self._path = ""
        self._reader: ReplyReader | None = None  # while an answer comes in
        self._size = 0  # bytes of a streamed one
        self._status = 0
        self._served: asyncio.Future[int] | None = None

    async def connect(self, _address: str) -> Connection:
        """In place of `lamella.runtime.connection.connect`."""
        self._connection = Connection(self._loop)
        self._connection.connection_made(self)
        self._size = 0
        return self._connection

    async def serve(self, event: Event, request_id: str, seconds: float) -> int:
        """Let the slot serve an event; its status, 0 where the invocation failed.

        It returns when all work of the request has ended, or ignores that its time is over.
        Raises `InitError` where the application ends the environment.
        """
        body = encode_json(event).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int((time.time() + seconds) * 1000)}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {self._function_arn}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._event = head.encode() + body
        self._served = self._loop.create_future()
        if self._asks:
            self._hand_out()
        return self._served.result() if await has_ended(self._served, seconds) else self._status

    def end(self, error: BaseException) -> None:
        """The slot's environment is to end."""
        if self._served is not None and not self._served.done():
            failure = InitError(
                f"The application ended the environment in the warm-up: {described(error)}",
                "Runtime.ExitError",
            )
            self._served.set_exception(failure)

    # What a connection calls

    def write(self, data: Any) -> None:
        """Take a part of a request."""
        if self._size > ENOUGH:
            return  # the client has left
        if self._reader is None:
            line, _, rest = bytes(data).partition(b"\r\n")
            method, self._path, _ = line.decode().split(" ")
            if method == "GET":
                self._asks = True
                if self._event is not None:
                    self._hand_out()
                elif self._served is not None and not self._served.done():
                    self._served.set_result(self._status)
                return
            # After the first line, a request is what a reply is.
            self._reader = ReplyReader()
            data = b"HTTP/1.1 200 OK\r\n" + rest
        posted = self._reader.feed(data)
        if posted is None:
            self._size += len(data)
            if self._size > ENOUGH:
                posted = self._reader.feed(last_chunk())
        if posted is not None:
            self._reader = None
            self._status = _status_of(self._path, posted)
            self._reply(_ACCEPTED)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """There is no socket."""
        return default

    def close(self) -> None:
        """There is nothing to close."""

    def abort(self) -> None:
        """There is nothing to close."""

    def _hand_out(self) -> None:
        assert self._event is not None
        self._reply(self._event)
        self._event = None
        self._asks = False
        self._status = 0

    def _reply(self, data: bytes) -> None:
        """Later, as through a socket: never before `write` has returned."""
        self._loop.call_soon(self._arrive, self._connection, data)

    def _arrive(self, connection: Connection, data: bytes) -> None:
        while data:
            buffer = connection.get_buffer(len(data))
            size = min(len(data), len(buffer))
            buffer[:size] = data[:size]
            connection.buffer_updated(size)
            data = data[size:]


def _status_of(path: str, posted: Reply) -> int:
    """The client's status in what was posted as an answer; 0 in what failed."""
    if not path.startswith(f"{API}/") or not path.endswith("/response"):
        return 0
    status: int = json.loads(posted.body.partition(DELIMITER)[0])["statusCode"]
    return status
