"""The Runtime API's operations over one connection: next, response, error.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. One client serves one
invocation at a time, as one slot of the environment.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any

from lamella import __version__
from lamella.errors import ClientDisconnected, RuntimeApiError
from lamella.response.wire import PRELUDE_TYPE, chunk, encode_json, error_report, last_chunk
from lamella.runtime.connection import Answer, Connection, connect
from lamella.runtime.http1 import Reply, request_head
from lamella.runtime.next_invocation import NextInvocation, read

logger = logging.getLogger("lamella")

API = "/2018-06-01/runtime"
USER_AGENT = f"lamella/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"
NEXT_TRIES = 5
FIRST_DELAY = 0.1  # seconds, doubled with each try, as awslambdaric does

FATAL_STATUS = (403, 500)
"""Wrong order of calls, and "Container error. Non-recoverable state": the process is to exit."""


class RuntimeClient:
    """Speaks to the Runtime API at `address` (host:port) over one kept-alive connection.

    `failed` is called with the error after which the process has to exit.
    """

    def __init__(
        self,
        address: str,
        failed: Callable[[RuntimeApiError], None],
        fatal: tuple[int, ...] = FATAL_STATUS,
    ) -> None:
        self._address = address
        self._failed = failed
        self._fatal = fatal
        self._connection: Connection | None = None
        self._base_headers = {"Host": address, "User-Agent": USER_AGENT}
        self._next = request_head("GET", f"{API}/invocation/next", self._base_headers)
        self._posted: bytes | None = None  # a buffered answer that may have to be sent again
        self._acknowledged = True
        self._then: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._context = copy_context()

    def next(self, received: Callable[[NextInvocation], None]) -> None:
        """Ask for the next invocation; `received` gets it, however long that takes."""
        if self._connection is None or self._connection.closed:
            self._start(self._next_again(received, None))
        else:
            self._connection.request(self._next, partial(self._next_answered, received))

    def respond(self, invocation: NextInvocation, payload: bytes) -> None:
        """Post a buffered result."""
        self._post(f"{API}/invocation/{invocation.request_id}/response", payload, invocation)

    def respond_error(self, invocation: NextInvocation, error: BaseException) -> None:
        """Fail the invocation."""
        report = error_report(error, invocation.request_id)
        path = f"{API}/invocation/{invocation.request_id}/error"
        self._post(path, encode_json(report).encode(), invocation, report["errorType"])

    def open_stream(self, invocation: NextInvocation, answered: Callable[[], None]) -> StreamedPost:
        """A streamed answer; nothing is sent before its first bytes. `answered`: at its end."""
        headers = self._base_headers | {
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Transfer-Encoding": "chunked",
            "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
            "Content-Type": PRELUDE_TYPE,
        }
        if invocation.invocation_id:
            headers["Lambda-Runtime-Invocation-Id"] = invocation.invocation_id
        path = f"{API}/invocation/{invocation.request_id}/response"
        return StreamedPost(self, request_head("POST", path, headers), answered)

    def when_acknowledged(self, then: Callable[[], None]) -> None:
        """Call `then` once the Runtime API has taken what was posted, or refused it."""
        if self._acknowledged:
            then()
        else:
            self._then = then

    async def init_error(self, path: str, report: dict[str, Any]) -> None:
        """Report that the environment cannot start, to `path`: init/error or restore/error.

        Raises `RuntimeApiError`.
        """
        headers = {"Lambda-Runtime-Function-Error-Type": report["errorType"]}
        data = self._request(f"{API}/{path}", encode_json(report).encode(), headers)
        reply = await (await self._connected()).ask(data)
        if reply.status != 202:
            raise _refused(path, reply)

    def close(self) -> None:
        """Close the connection, whatever it waits for."""
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.close()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do what takes more than one step; there is never more than one such task.

        Not in the context of the invocation that happens to be served: a connection keeps the
        context it was made in, and would pass that on to all invocations after this one.
        """
        loop = asyncio.get_running_loop()
        self._task = self._context.run(loop.create_task, coroutine)

    # Asking for the next invocation

    def _next_answered(self, received: Callable[[NextInvocation], None], reply: Answer) -> None:
        if isinstance(reply, Reply) and reply.status == 200:
            self._deliver(received, reply)
        else:
            self._start(self._next_again(received, reply))

    def _deliver(self, received: Callable[[NextInvocation], None], reply: Reply) -> None:
        try:
            invocation = read(reply)
        except RuntimeApiError as error:
            self._failed(error)
        else:
            received(invocation)

    async def _next_again(
        self, received: Callable[[NextInvocation], None], failure: Answer | None
    ) -> None:
        """Ask on a fresh connection: at once the first time, after a failure with growing delay."""
        delay = FIRST_DELAY
        for _ in range(NEXT_TRIES):
            if failure is not None:
                logger.warning("%s Asking again in %g s.", _as_error("/next", failure), delay)
                await asyncio.sleep(delay)
                delay *= 2
            try:
                failure = await (await self._connected()).ask(self._next)
            except RuntimeApiError as error:
                failure = error
            if isinstance(failure, Reply) and failure.status == 200:
                self._deliver(received, failure)
                return
        assert failure is not None
        self._failed(_as_error("/next", failure))

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._address)
        return self._connection

    # Posting an answer

    def _post(
        self,
        path: str,
        payload: bytes,
        invocation: NextInvocation,
        error_type: str | None = None,
    ) -> None:
        headers = {}
        if invocation.invocation_id:
            headers["Lambda-Runtime-Invocation-Id"] = invocation.invocation_id
        if error_type is not None:
            headers["Lambda-Runtime-Function-Error-Type"] = error_type
        self._posted = self._request(path, payload, headers)
        self._send(self._posted)

    def _request(self, path: str, payload: bytes, headers: dict[str, str]) -> bytes:
        counted = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        return request_head("POST", path, self._base_headers | counted | headers) + payload

    def start_stream(self, stream: StreamedPost) -> None:
        """Send the beginning of a streamed answer."""
        self._acknowledged = False
        if self._connection is not None and not self._connection.closed:
            self._connection.request(stream.open(self._connection), self._answered)
        else:
            self._start(self._stream_again(stream))

    async def _stream_again(self, stream: StreamedPost) -> None:
        """The connection broke before a streamed answer began: it goes out on a fresh one."""
        try:
            connection = await self._connected()
        except RuntimeApiError as error:
            self._settle(error)
        else:
            connection.request(stream.open(connection), self._answered)

    def _send(self, data: bytes) -> None:
        assert self._connection is not None  # /next came through it
        self._acknowledged = False
        self._connection.request(data, self._answered)

    def _answered(self, reply: Answer) -> None:
        posted, self._posted = self._posted, None
        if isinstance(reply, RuntimeApiError) and posted is not None:
            self._start(self._post_again(posted))
            return
        if posted is None and self._connection is not None:
            # "close the underlying connection after it has successfully written the response"
            self._connection.close()
        self._settle(reply)

    async def _post_again(self, data: bytes) -> None:
        """The connection broke under a buffered answer: one more try on a fresh one."""
        try:
            reply: Answer = await (await self._connected()).ask(data)
        except RuntimeApiError as error:
            reply = error
        # Lambda may have taken it the first time: then this one is refused, rightly.
        self._settle(reply, fatal=(500,))

    def _settle(self, reply: Answer, fatal: tuple[int, ...] | None = None) -> None:
        """What was posted has its answer: a refusal is a log record, unless it ends the process."""
        self._acknowledged = True
        if isinstance(reply, RuntimeApiError) or reply.status >= 300:
            error = _as_error("the answer", reply)
            if error.status in (self._fatal if fatal is None else fatal):
                self._failed(error)
                return
            logger.error("%s", error)
        then, self._then = self._then, None
        if then is not None:
            then()


class StreamedPost:
    """One streamed answer: chunks out as bytes come in (Lambda's response streaming)."""

    def __init__(self, client: RuntimeClient, head: bytes, answered: Callable[[], None]) -> None:
        self._client = client
        self._answered = answered
        self._connection: Connection | None = None  # its own: the client may get another
        self._unsent = head
        self.opened = False
        self.ended = False
        self._withdrawn = False

    def write(self, data: bytes) -> None:
        """Send bytes of the body; the first ones leave in one write with the request's head."""
        self._write(chunk(data))

    async def drain(self) -> None:
        """Wait until the socket has room. Raises `ClientDisconnected` where it is closed."""
        if self._connection is None:  # nothing was written, or the connection is being renewed
            return
        await self._connection.drain()
        if not self._connection.waiting:  # closed, or refused already
            raise ClientDisconnected("The streamed answer was cut off by the Runtime API.")

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        """Send the last bytes and the end of the body, with an error in the trailers."""
        self.ended = True
        self._write(chunk(data) + last_chunk(error))
        self._answered()

    def withdraw(self) -> None:
        """Never open: the invocation was answered in another way."""
        self._withdrawn = True

    def open(self, connection: Connection) -> bytes:
        """Take the connection that the answer goes out on; what is to be sent first."""
        self._connection = connection
        unsent, self._unsent = self._unsent, b""
        return unsent

    def _write(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.write(data)
            return
        self._unsent += data
        if not self.opened and not self._withdrawn:
            self.opened = True
            self._client.start_stream(self)


def _as_error(what: str, reply: Answer) -> RuntimeApiError:
    return reply if isinstance(reply, RuntimeApiError) else _refused(what, reply)


def _refused(what: str, reply: Reply) -> RuntimeApiError:
    body = reply.body[:500].decode("utf-8", "replace")
    return RuntimeApiError(f"The Runtime API refused {what}: {reply.status} {body}", reply.status)
