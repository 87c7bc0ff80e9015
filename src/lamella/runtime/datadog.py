"""Datadog's extension is told of each invocation, and makes the span `aws.lambda` of it.

    start-invocation ◀── the event       its answer names the caller's trace, if the event has one
    the application  ◀── trace headers   they name the trace, and `aws.lambda` as the parent
    end-invocation   ◀── the status      the answer has left, and /next has not been asked for

Datadog's tracers of Java and Ruby make these two calls around a handler. The one of Python does
not: there a library wraps the handler. Imported only with `ASGI_DATADOG_EXTENSION`.

Sources: github.com/DataDog/datadog-lambda-extension, folder bottlecap/src/lifecycle:
- listener.rs: the port 8124, both paths, `lambda-runtime-aws-request-id` as what pairs the calls
  with an invocation, and the answer to the start, which has the trace id, the sampling priority
  and the high half of the trace id (`_dd.p.tid`), but no parent id;
- invocation/processor.rs: `aws.lambda` gets its ids from the end call (`x-datadog-trace-id`, where
  the event has no trace, and `x-datadog-span-id`), its status from `statusCode` in the body, its
  error from `x-datadog-invocation-error`, `-type` and `-msg` (base64). It is sent when Lambda
  reports `platform.runtimeDone`, so the end call has to come before that. An invocation without
  an end call has no span, and its id stays in the extension's memory;
- `platform.runtimeDone` follows the runtime's next /next: rapid/handlers.go of
  github.com/aws/aws-lambda-runtime-interface-emulator.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lamella.errors import TypedError, described, message_of
from lamella.http1 import Reply, ReplyReader, request_head
from lamella.runtime.connection import READ_SIZE
from lamella.types import Scope

if TYPE_CHECKING:
    from lamella.ports import Cycle

logger = logging.getLogger("lamella")

PATIENCE = 1.0
"""Seconds that a call may take, as in Datadog's tracer for Java (LambdaHandler.java), unless the
invocation has less."""

REST = 10.0
"""Seconds after a call that failed in which no invocation waits for the extension."""

ERROR_LENGTH = 1000
"""Characters of an error's message that are sent: a header is no place for long texts."""

TRACE_ID, PRIORITY, TAGS = "x-datadog-trace-id", "x-datadog-sampling-priority", "x-datadog-tags"

REPLACED = {b"x-datadog-parent-id", b"traceparent", b"tracestate"} | {
    name.encode() for name in (TRACE_ID, PRIORITY, TAGS)
}
"""Headers that name the caller's span as the parent. Of two of them, ddtrace takes W3C's."""


class Extension:
    """The extension at `address` (`host:port`). Its calls never raise, and take `PATIENCE` at most.

    What goes wrong is one warning in an environment.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._warned = False
        self._rest_ends = 0.0

    async def start(self, request_id: str, event: bytes, left: float) -> Span | None:
        """Tell of an invocation and its event; None where the extension did not take it.

        It takes half of the seconds that are `left` at most: the others are the application's.
        """
        if time.monotonic() < self._rest_ends:
            return None
        headers = {"lambda-runtime-aws-request-id": request_id}
        reply = await self.call("start", headers, event, left / 2)
        if reply is None:
            return None
        # Only the caller knows what was decided of its trace: a new one is left to the tracer.
        told = {name: reply.headers[name] for name in (PRIORITY, TAGS) if name in reply.headers}
        trace_id = reply.headers.get(TRACE_ID) or str(_new_id())
        return Span(self, request_id, {TRACE_ID: trace_id, **told}, str(_new_id()))

    async def call(
        self, name: str, headers: Mapping[str, str], body: bytes, left: float
    ) -> Reply | None:
        """POST to /lambda/`name`-invocation in the seconds that are `left`; None for a failure."""
        if left <= 0:
            return None  # which says nothing of the extension
        patience = min(PATIENCE, left)
        fields = {"Host": self._address, "Content-Type": "application/json", **headers}
        fields |= {"Content-Length": str(len(body)), "Connection": "close"}
        try:
            async with asyncio.timeout(patience):
                head = request_head("POST", f"/lambda/{name}-invocation", fields)
                reply = await _exchange(self._address, head + body)
            if reply.status != 200:
                raise ValueError(f"it answered {reply.status}")
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            self._rest_ends = time.monotonic() + REST
            if not self._warned:
                self._warned = True
                late = isinstance(error, TimeoutError)
                short = (
                    ", and the invocation had no more time for it" if patience < PATIENCE else ""
                )
                reason = f"no answer in {patience:.2g} s{short}" if late else described(error)
                logger.warning(FAILED, self._address, name, reason)
            return None
        return reply


FAILED = (
    "Datadog's extension at %s did not take the %s of an invocation (%s): its trace has no span "
    "aws.lambda, nor have those of the next 10 s. Add the layer Datadog-Extension, or remove "
    "ASGI_DATADOG_EXTENSION. Said once."
)


class Span(NamedTuple):
    """The span `aws.lambda` of one invocation, before the extension makes it."""

    extension: Extension
    request_id: str
    trace: dict[str, str]
    span_id: str

    def lead(self, scope: Scope) -> None:
        """Make this span the parent of what the application's tracer makes of an HTTP request."""
        if scope.get("type") == "http":  # a WebSocket's headers are those of its handshake
            ours = {**self.trace, "x-datadog-parent-id": self.span_id}
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in REPLACED]
            scope["headers"] += [(name.encode(), text.encode()) for name, text in ours.items()]

    async def end(self, cycle: Cycle | None, error: BaseException | None, left: float) -> None:
        """Tell how the invocation has ended: with its client's status, or as failed by `error`.

        `cycle` is None where it was answered without the application. A stream that has broken off
        has both, a status and an error. It takes the seconds that are `left` at most.
        """
        headers = {"lambda-runtime-aws-request-id": self.request_id, **self.trace}
        headers["x-datadog-span-id"] = self.span_id
        if error is not None:
            kind = error.error_type if isinstance(error, TypedError) else type(error).__name__
            headers["x-datadog-invocation-error"] = "true"
            headers["x-datadog-invocation-error-type"] = _in_header(kind)
            headers["x-datadog-invocation-error-msg"] = _in_header(message_of(error))
        body = {}
        # The status of an event's POST is no client's.
        if cycle is not None and "lamella.event" not in cycle.scope.get("extensions", {}):
            body = {"statusCode": cycle.status} if cycle.status else {}
        await self.extension.call("end", headers, json.dumps(body).encode(), left)


async def _exchange(address: str, request: bytes) -> Reply:
    """One request on a connection of its own: a freeze may last longer than a connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        replies = ReplyReader()
        while True:
            data = await reader.read(READ_SIZE)
            reply = replies.feed(data)
            if reply is not None:
                return reply
            if not data:
                raise ValueError("it closed the connection without an answer")
    finally:
        writer.close()


def _in_header(text: str) -> str:
    """A text as a header has it: in base64, as the extension tries to read each."""
    return base64.b64encode(text[:ERROR_LENGTH].encode("utf-8", "replace")).decode()


def _new_id() -> int:
    """A random id of 63 bits, above 0; also after a restore of SnapStart, which copies `random`."""
    return (int.from_bytes(os.urandom(8), "big") >> 1) or 1
