"""The Runtime API's operations over one connection: next, response, error.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. One client serves one
invocation at a time, as one slot of the environment.

While all goes well, one callback leads to the next: a coroutine for each invocation costs two more
turns of the event loop (docs/design.md, section 4, "Transport", has the figures). What fails is
mended in a coroutine (`_next_again`, `_post_again`), which ends where the callbacks go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from lamella.errors import ClientDisconnected, InvocationError, RuntimeApiError
from lamella.http1 import USER_AGENT, Reply, request_head
from lamella.response.wire import PRELUDE_TYPE, chunk, encode_report, error_report, last_chunk
from lamella.runtime.connection import Answer, Connect, Connection, connect, exchange

logger = logging.getLogger("lamella")

API = "/2018-06-01/runtime"
NEXT_TRIES = 5
FIRST_DELAY = 0.1  # seconds, doubled with each try, as awslambdaric does
NO_DEADLINE = 900.0  # seconds; Lambda's longest timeout, where /next tells none

FATAL_STATUS = (403, 500)
"""Wrong order of calls, and "Container error. Non-recoverable state": the process is to exit."""


class NextInvocation(NamedTuple):
    """What /next gave: the event's bytes and what came in the headers; "" and absent are None."""

    body: bytes
    request_id: str
    invocation_id: str | None
    deadline: str | None
    function_arn: str | None
    trace_id: str | None
    client_context: str | None
    cognito_identity: str | None
    tenant_id: str | None

    @property
    def deadline_ms(self) -> int:
        """Milliseconds since the epoch. Raises `InvocationError` for other text."""
        text = self.deadline
        if text is None:
            return int((time.time() + NO_DEADLINE) * 1000)
        if len(text) > 15 or not (text.isascii() and text.isdigit()):
            raise InvocationError(
                f"The header Lambda-Runtime-Deadline-Ms is {text[:50]!r}, and should be "
                "milliseconds since 1970.",
                "Runtime.LambdaContextUnmarshalError",
            )
        return int(text)


def read_next(answer: Answer) -> NextInvocation:
    """The invocation in an answer to /next. Raises `RuntimeApiError` if it has none."""
    if isinstance(answer, RuntimeApiError):
        raise answer
    if answer.status != 200:
        raise _refused("/next", answer)
    get = answer.headers.get
    request_id = get("lambda-runtime-aws-request-id", "")
    invocation_id = get("lambda-runtime-invocation-id") or None
    # They come back in a path and in a header.
    ids = request_id + (invocation_id or "")
    if not request_id or not ids.isascii() or not ids.isprintable() or " " in ids:
        raise RuntimeApiError(
            f"The Runtime API answered /next with the request id {request_id[:100]!r} and "
            f"the invocation id {str(invocation_id)[:100]!r}, which no invocation can have."
        )
    return NextInvocation(
        answer.body,
        request_id,
        invocation_id,
        get("lambda-runtime-deadline-ms") or None,
        get("lambda-runtime-invoked-function-arn") or None,
        get("lambda-runtime-trace-id") or None,
        get("lambda-runtime-client-context") or None,
        get("lambda-runtime-cognito-identity") or None,
        get("lambda-runtime-aws-tenant-id") or None,
    )


class RuntimeClient:
    """Speaks to the Runtime API at `address` (host:port) over one kept-alive connection.

    `failed` is called with the error after which the process has to exit.
    """

    def __init__(
        self,
        address: str,
        failed: Callable[[RuntimeApiError], None],
        fatal: tuple[int, ...] = FATAL_STATUS,
        connect: Connect = connect,
    ) -> None:
        self._address = address
        self._failed = failed
        self._fatal = fatal
        self._connect = connect
        self._connection: Connection | None = None
        self._base_headers = {"Host": address, "User-Agent": USER_AGENT}
        self._next = request_head("GET", f"{API}/invocation/next", self._base_headers)
        json_type = {"Content-Type": "application/json"}
        fixed = request_head("POST", API, self._base_headers | json_type)
        self._post_fixed = fixed[fixed.index(b"\r\n") : -2]  # the headers that all posts have
        self._posted: bytes | None = None  # a buffered answer that may have to be sent again
        self._acknowledged = True
        self._then: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._context = copy_context()
        self._closed = False

    def next(self, received: Callable[[NextInvocation], None]) -> None:
        """Ask for the next invocation; `received` gets it, however long that takes."""
        connection = self._connection
        if connection is None or connection.closed:
            self._start(self._next_again(received, None))
        else:
            connection.request(self._next, partial(self._next_answered, received, connection))

    def respond(self, invocation: NextInvocation, payload: bytes) -> None:
        """Post a buffered result."""
        path = f"invocation/{invocation.request_id}/response"
        self._post(self._request(path, payload, invocation.invocation_id))

    def respond_error(self, invocation: NextInvocation, error: BaseException) -> None:
        """Fail the invocation."""
        report = error_report(error, invocation.request_id)
        path, payload = f"invocation/{invocation.request_id}/error", encode_report(report)
        self._post(self._request(path, payload, invocation.invocation_id, report["errorType"]))

    def open_stream(
        self, invocation: NextInvocation, answered: Callable[[], object]
    ) -> StreamedPost:
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
        return StreamedPost(self._start_stream, request_head("POST", path, headers), answered)

    def when_acknowledged(self, then: Callable[[], None]) -> None:
        """Call `then` once the Runtime API has taken what was posted, or refused it."""
        if self._acknowledged:
            then()
        else:
            self._then = then

    def report(self, path: str, report: dict[str, Any], invocation_id: str | None = None) -> None:
        """Report that the environment cannot start, to `path`: init/error, restore/error, or the
        error of an invocation.

        Over a connection of its own, and without the event loop. Raises `RuntimeApiError`.
        """
        data = self._request(path, encode_report(report), invocation_id, report["errorType"])
        connection, reply = exchange(self._address, data)
        connection.close()
        if reply.status != 202:
            raise _refused(path, reply)

    def close(self) -> None:
        """Close the connection, whatever it waits for."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.close()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do what takes more than one step; there is never more than one such task.

        Not in the context of the invocation that happens to be served: a connection keeps the
        context it was made in, and would pass that on to all invocations after this one.
        """

        def ended(task: asyncio.Task[None]) -> None:
            """Nothing but `close` may end it early: a slot would be lost."""
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None and not self._closed:
                self._failed(RuntimeApiError(f"Lamella's Runtime API client failed: {error!r}"))

        loop = asyncio.get_running_loop()
        self._task = self._context.run(loop.create_task, coroutine)
        self._task.add_done_callback(ended)

    async def connected(self) -> Connection:
        """The connection, made anew where there is none. Raises `RuntimeApiError`."""
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect(self._address)
        return self._connection

    # Asking for the next invocation

    def _next_answered(
        self, received: Callable[[NextInvocation], None], connection: Connection, answer: Answer
    ) -> None:
        try:
            invocation = read_next(answer)
        except RuntimeApiError as error:
            # A kept connection that ends without a byte was idle, and its server tired of it.
            self._start(self._next_again(received, error if connection.heard else None))
        else:
            received(invocation)

    async def _next_again(
        self, received: Callable[[NextInvocation], None], failure: RuntimeApiError | None
    ) -> None:
        """Ask on a fresh connection: at once the first time, after a failure with growing delay."""
        delay = FIRST_DELAY
        for _ in range(NEXT_TRIES):
            if failure is not None:
                logger.warning("Asking again in %g s: %s", delay, failure)
                await asyncio.sleep(delay)
                delay *= 2
            try:
                invocation = read_next(await (await self.connected()).ask(self._next))
            except RuntimeApiError as error:
                failure = error
            else:
                # Not from this task: the application runs at once, and may cancel every task.
                asyncio.get_running_loop().call_soon(received, invocation)
                return
        assert failure is not None
        self._failed(failure)

    # Posting an answer

    def _request(
        self, path: str, payload: bytes, invocation_id: str | None, error_type: str | None = None
    ) -> bytes:
        """A POST of JSON.

        Not by `request_head`, which looks for line breaks again: `read_next` has let none in.
        """
        own = f"Content-Length: {len(payload)}\r\n"
        if invocation_id:
            own += f"Lambda-Runtime-Invocation-Id: {invocation_id}\r\n"
        if error_type is not None:
            own += f"Lambda-Runtime-Function-Error-Type: {error_type}\r\n"
        line = f"POST {API}/{path} HTTP/1.1".encode()
        return b"%b%b%b\r\n%b" % (line, self._post_fixed, own.encode(), payload)

    def _post(self, request: bytes) -> None:
        assert self._connection is not None  # /next came through it
        self._posted = request
        self._acknowledged = False
        self._connection.request(request, self._answered)

    def _start_stream(self, stream: StreamedPost) -> None:
        self._acknowledged = False
        if self._connection is not None and not self._connection.closed:
            stream.open(self._connection, self._answered)
            return

        async def open_later() -> None:
            """The connection broke before the streamed answer began: it goes out on a fresh one."""
            try:
                stream.open(await self.connected(), self._answered)
            except RuntimeApiError as error:
                stream.open(None, self._answered)
                self._settle(error)

        self._start(open_later())

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
            reply: Answer = await (await self.connected()).ask(data)
        except RuntimeApiError as error:
            reply = error
        # Lambda may have taken it the first time: then this one is refused, rightly.
        self._settle(reply, fatal=(500,))

    def _settle(self, reply: Answer, fatal: tuple[int, ...] | None = None) -> None:
        """What was posted has its answer: a refusal is a log record, unless it ends the process."""
        self._acknowledged = True
        then, self._then = self._then, None
        if isinstance(reply, RuntimeApiError) or reply.status >= 300:
            error = reply if isinstance(reply, RuntimeApiError) else _refused("the answer", reply)
            if error.status in (self._fatal if fatal is None else fatal):
                self._failed(error)
                return
            logger.error("%s", error)
        if then is not None:
            then()


class StreamedPost:
    """One streamed answer: chunks out as bytes come in (Lambda's response streaming).

    `start(stream)` is called with the first bytes, and leads to `open`: at once, or later where
    the connection is being renewed. `answered()` is called at the end.
    """

    def __init__(
        self,
        start: Callable[[StreamedPost], None],
        head: bytes,
        answered: Callable[[], object],
    ) -> None:
        self._start = start
        self._answered = answered
        self._connection: Connection | None = None  # its own: the client may get another
        self._unsent = [head]
        self._opening: asyncio.Future[None] | None = None  # pending while there is no connection
        self.opened = False
        self.ended = False
        self.error: BaseException | None = None  # that the trailers have
        self._withdrawn = False

    def write(self, data: bytes) -> None:
        """Send bytes of the body; the first ones leave in one write with the request's head."""
        self._write(chunk(data))

    async def drain(self) -> None:
        """Wait until the socket has room. Raises `ClientDisconnected` where it is closed."""
        if self._opening is not None:
            await asyncio.shield(self._opening)  # a cancelled waiter leaves it be
        if not self.opened:
            return
        if self._connection is not None:
            await self._connection.drain()
        if self._connection is None or not self._connection.waiting:  # closed, or refused already
            raise ClientDisconnected("The streamed answer was cut off by the Runtime API.")

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        """Send the last bytes and the end of the body, with an error in the trailers."""
        self.ended = True
        self.error = error
        self._write(chunk(data) + last_chunk(error))
        self._answered()

    def withdraw(self) -> None:
        """Never open: the invocation was answered in another way."""
        self._withdrawn = True

    def open(self, connection: Connection | None, answered: Callable[[Answer], None]) -> None:
        """Send what has been written so far, through a connection; None: none will come."""
        self._connection = connection
        unsent, self._unsent = b"".join(self._unsent), []
        if connection is not None:
            connection.request(unsent, answered)
        if self._opening is not None:
            self._opening.set_result(None)
            self._opening = None

    def _write(self, data: bytes) -> None:
        if self._connection is not None:
            self._connection.write(data)
        elif not self.opened and not self._withdrawn:
            self.opened = True
            self._unsent.append(data)
            self._start(self)
            if self._connection is None:
                self._opening = asyncio.get_running_loop().create_future()
        elif self._opening is not None:
            self._unsent.append(data)


def _refused(what: str, reply: Reply) -> RuntimeApiError:
    body = reply.body[:500].decode("utf-8", "replace")
    return RuntimeApiError(f"The Runtime API refused {what}: {reply.status} {body}", reply.status)
