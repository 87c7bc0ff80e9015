"""From a client's request to its response: what every front door does around its two translations.

    delivered = await deliver(door, function, request)

The rules, and where they come from:

- A request is refused before the function is asked if its head (`heads.py`) or its body is over the
  door's limit, or its event over 6 MB as UTF-8 text: Lambda's quota for synchronous invocations,
  https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
- The door's time limit ends with a whole answer, or with the head of a streamed one. The function
  runs on: AWS stops no invocation when its caller gives up. The start of an environment does not
  count here; on AWS it does.
- A stream begins with a prelude; a Function URL also takes one without, as a 200,
  https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html. A door whose
  prelude is bad answers as its `trouble` says: a REST API with 500,
  https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html.
- A stream that breaks off has sent its head, so the connection ends early. So does one that is
  silent for longer than the door's limit; the function runs on.
- Every response has a date. One that is whole has a content-length, but for 204 and 304, which
  have no body either (RFC 9110, sections 6.6.1, 8.6 and 6.4.1); the answer to HEAD has none too.
- An invocation has one answer. A result with a status of 1xx, which would be an interim one, is
  malformed. AWS does not say what it makes of it, and Lamella sends none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any, NamedTuple, Protocol

from lamella.front_doors.answer import Answer
from lamella.front_doors.door import (
    MAX_EVENT,
    FrontDoor,
    HttpRequest,
    HttpResponse,
    Malformed,
    Pairs,
    Refused,
    Trouble,
)
from lamella.front_doors.heads import check_head
from lamella.front_doors.prelude import CONTENT_TYPE, read_prelude

SMALL_CHUNK = 100_000
"""Bytes from which on a chunk of a Function URL's stream does not wait for the next one. Users
report 100 KB (https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/issues/102,
https://betterdev.blog/lambda-response-streaming-flush-content), and some 16 KB (issue 94 there).
AWS says nothing of it:
UNVERIFIED (docs/verified.md#small-chunks-through-a-function-url)."""


class Throttled(Exception):
    """All environments are busy and the limit does not allow another: Lambda's 429. On managed
    instances, no slot is free: its Runtime.Unavailable, at the front door a 429 as well."""


class BrokenOff(Exception):
    """The function failed in the middle of a streamed answer; AWS cuts the connection."""


class Function(Protocol):
    """What is behind a front door."""

    async def open(self, event: bytes | dict[str, Any]) -> Answer:
        """Send one event; the answer can be read while it comes in. Raises Throttled."""


class Rest:
    """What follows of a streamed answer, for one iteration; `silent` where no body may be sent.

    Iterating raises BrokenOff where the function fails.
    """

    def __init__(
        self, answer: Answer, pieces: AsyncIterator[bytes], silent: bool, patience: float | None
    ) -> None:
        self._answer = answer
        self._pieces = pieces
        self._silent = silent
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                piece = await asyncio.wait_for(anext(self._pieces), self._patience)
            except StopAsyncIteration:
                break
            except TimeoutError:
                self._answer.abandon()
                raise BrokenOff(f"the stream was silent for {self._patience:g} s") from None
            if not self._silent:
                yield piece
        if self._answer.error is not None:
            raise BrokenOff(f"the stream broke off: {self._answer.failure}")

    def abandon(self) -> None:
        """The client is gone."""
        self._answer.abandon()


class Held(Rest):
    """What follows, with each small chunk as late as users report: it waits for the next one.

    `first` came with the head, which does not wait. What waits when a stream breaks off is lost.
    """

    def __init__(self, first: bytes, *rest: Any) -> None:
        super().__init__(*rest)
        self._first = first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = self._first
        async for piece in super().__aiter__():
            if held:
                yield held
            held = piece
            if len(held) >= SMALL_CHUNK:
                yield held
                held = b""
        if held:
            yield held


class Delivered(NamedTuple):
    """What the client gets; with a `rest`, the response's body is only its beginning.

    `answer` is the function's, where it was asked. `because` is why the door answers itself, ""
    where the function's answer is delivered.
    """

    response: HttpResponse
    rest: Rest | None = None
    answer: Answer | None = None
    because: str = ""


async def deliver(
    door: FrontDoor, function: Function, request: HttpRequest, *, matched: bool = False
) -> Delivered:
    """Answer a request by the rules above.

    Whether a stream is expected is the door's option, as on AWS; with `matched` it is as the
    function answers.
    """
    answer: Answer | None = None
    try:
        answer = await function.open(event_of(door, request))
        return await asyncio.wait_for(_received(door, answer, request, matched), door.time_limit)
    except Refused as refused:
        trouble, detail = refused.trouble, refused.detail
    except Throttled as throttled:
        trouble, detail = Trouble.THROTTLED, str(throttled)
    except TimeoutError:
        trouble, detail = Trouble.TIMEOUT, f"no answer within {door.time_limit} s"
    except Malformed as malformed:
        trouble, detail = Trouble.MALFORMED, str(malformed)
    if answer is not None:
        answer.abandon()
    response = whole(door.trouble(trouble), request, door.added_headers(request))
    because = f"{trouble.value}: {detail}" if detail else trouble.value
    return Delivered(response, None, answer, because)


def event_of(door: FrontDoor, request: HttpRequest) -> bytes:
    """The event of a request as JSON. Raises Refused."""
    check_head(door.head_limits, request)
    if len(request.body) > door.max_body:
        raise Refused(Trouble.TOO_LARGE, f"the body is over {door.max_body} bytes")
    event = json.dumps(door.event(request.as_read()), ensure_ascii=False).encode()
    if len(event) > MAX_EVENT:
        raise Refused(Trouble.TOO_LARGE, f"the event has {len(event)} bytes, over {MAX_EVENT}")
    return event


def whole(response: HttpResponse, request: HttpRequest, added: Pairs) -> HttpResponse:
    """A complete response as it leaves the door, with the headers that this has `added`."""
    length = [] if _bodiless(response) else [("content-length", str(len(response.body)))]
    silent = _bodiless(response) or request.method == "HEAD"
    body = b"" if silent else response.body
    return _dated(HttpResponse(response.status, response.headers + added + length, body))


def _bodiless(response: HttpResponse) -> bool:
    return response.status in (204, 304)


def _dated(response: HttpResponse) -> HttpResponse:
    if any(name == "date" for name, _ in response.headers):
        return response
    return response._replace(headers=[("date", formatdate(usegmt=True)), *response.headers])


async def _received(
    door: FrontDoor, answer: Answer, request: HttpRequest, matched: bool
) -> Delivered:
    """What the function's answer becomes. Raises Refused, Malformed."""
    head = await answer.head()
    if head.status == "error":
        raise Refused(Trouble.FUNCTION_ERROR, answer.failure)
    pieces, added = answer.__aiter__(), door.added_headers(request)
    if not (head.streamed if matched else door.streaming):
        payload = b"".join([piece async for piece in pieces])
        if answer.error is not None:
            raise Refused(Trouble.FUNCTION_ERROR, answer.failure)
        return Delivered(whole(door.response(payload, request), request, added), None, answer)
    start, first = await _begun(door, head.content_type, pieces)
    silent = _bodiless(start) or request.method == "HEAD"
    first = b"" if silent else first
    held = door.hold_chunks and len(first) < SMALL_CHUNK
    parts = (answer, pieces, silent, door.silence)
    rest = Held(first, *parts) if held else Rest(*parts)
    response = HttpResponse(start.status, start.headers + added, b"" if held else first)
    return Delivered(_dated(response), rest, answer)


async def _begun(
    door: FrontDoor, content_type: str, pieces: AsyncIterator[bytes]
) -> tuple[HttpResponse, bytes]:
    """The head of a streamed response, and the first bytes of its body. Raises Refused."""
    try:
        if content_type.partition(";")[0].strip() == CONTENT_TYPE:
            prelude, first = await read_prelude(pieces)
            return door.stream_head(prelude), first
        if door.needs_prelude:
            raise Malformed(f"the content type is {content_type!r}, not {CONTENT_TYPE!r}")
        return door.stream_head({"headers": {"content-type": content_type}}), b""
    except Malformed as malformed:
        raise Refused(Trouble.BAD_PRELUDE, str(malformed)) from malformed
