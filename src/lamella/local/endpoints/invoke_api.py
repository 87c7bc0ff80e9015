"""Lambda's Invoke API on the port of the front door: boto3, `aws lambda invoke --endpoint-url`.

It takes POST on its own two paths, and no request of a browser: a page of any site could send
those, and an invocation may do what no HTTP client may. Everything else goes on to the front door.
https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html and API_InvokeWithResponseStream.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import uuid
import zlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import Throttled
from lamella.front_doors.door import ACCOUNT_ID, MAX_EVENT
from lamella.local.endpoints.event_line import EventLine, Report
from lamella.local.endpoints.gateway import body_of
from lamella.local.endpoints.server import AnyGateway
from lamella.local.events.retries import asynchronous
from lamella.local.execution.function import LocalFunction
from lamella.local.execution.process import LineCallback

WHOLE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
STREAMED = re.compile(r"/2021-11-15/functions/([^/]+)/response-streaming-invocations")

NAME = re.compile(r"(?:arn:[^:]+:lambda:[^:]+:)?(?:\d{12}:)?(?:function:)?([\w-]+)(?::[\w$-]+)?")
"""A function's name, partial ARN or ARN, with or without a qualifier."""

ALIAS = "local"
"""Names the function that is served, whatever its name is."""

MAX_ASYNCHRONOUS = 1024 * 1024
LOG_TAIL = 4096
"""Bytes: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""

SECONDS_A_MINUTE = 1.0
"""What a minute between two attempts of an asynchronous event takes here."""


class Refused(Exception):
    """The API answers the request itself, with AWS's name of the error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class InvokeApi:
    """`app` is the gateway's, and the Invoke API on its paths.

    `report` gets each invocation, and `log` what becomes of an asynchronous event.
    """

    def __init__(
        self, gateway: AnyGateway, function: LocalFunction, report: Report, log: LineCallback
    ) -> None:
        self._gateway = gateway
        self._function = function
        self._report = report
        self._log = log
        self._queued: set[asyncio.Task[None]] = set()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: an invocation, or the front door's."""
        path = scope["raw_path"].decode("latin-1") if scope.get("method") == "POST" else ""
        found = STREAMED.fullmatch(path) or WHOLE.fullmatch(path)
        if scope["type"] != "http" or found is None:
            await self._gateway.app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        line = EventLine("INVOKE", self._function.config.name)
        send, answer = line.counted(send), None
        try:
            answer = await self._invoked(Request(scope, receive), found, request_id, send)
            line.because = answer.failure if answer and answer.error is not None else ""
        except ClientDisconnect:
            line.because = "the client left before it had sent its request"
        except Throttled as throttled:
            # botocore tries such an answer again by itself, as it does on AWS.
            line.because = f"Rate Exceeded: {throttled}"
            await _refuse(send, request_id, Refused(429, "TooManyRequestsException", line.because))
        except Refused as refused:
            line.because = str(refused)
            await _refuse(send, request_id, refused)
        line.end(answer, self._report)

    async def _invoked(
        self, request: Request, found: re.Match[str], request_id: str, send: Send
    ) -> Answer | None:
        """Answer a request whose path is `found`; the function's answer, if the client waits.

        Raises Refused, Throttled, ClientDisconnect.
        """
        headers, streamed = request.headers, found.re is STREAMED
        if "origin" in headers:
            raise Refused(
                403,
                "AccessDeniedException",
                "The Invoke API of lamella run answers no browser, and this request has an "
                f"Origin header, {headers['origin']!r}: send it with boto3, aws lambda invoke, "
                "or lamella invoke.",
            )
        self._check_name(unquote(found[1]))
        body = await body_of(request.scope, request.receive, MAX_EVENT)
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        check_payload(kind, body, streamed)
        options = {**options_of(headers), "request_id": request_id}
        event = body or b"{}"
        if kind == "DryRun":
            await _reply(send, request_id, 204)
            return None
        if kind == "Event":
            self._enqueue(event, options)
            await _reply(send, request_id, 202)
            return None
        answer = await self._function.open(event, **options)
        tail = headers.get("x-amz-log-type", "None") == "Tail"
        await (_stream if streamed else _reply_whole)(send, answer, tail)
        return answer

    async def close(self) -> None:
        """Forget the events that run or wait for another attempt."""
        for task in self._queued:
            task.cancel()
        await asyncio.gather(*self._queued, return_exceptions=True)

    def _check_name(self, asked: str) -> None:
        config = self._function.config
        match = NAME.fullmatch(asked)
        name = match[1] if match else asked
        if name not in (config.name, ALIAS):
            arn = f"arn:aws:lambda:{config.region}:{ACCOUNT_ID}:function:{name}"
            raise Refused(
                404,
                "ResourceNotFoundException",
                f"Function not found: {arn}. lamella run serves the function {config.name!r} here.",
            )

    def _enqueue(self, event: bytes, options: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._serve_later(event, options))
        self._queued.add(task)
        task.add_done_callback(self._queued.discard)

    async def _serve_later(self, event: bytes, options: dict[str, Any]) -> None:
        """An asynchronous event to its last attempt, each with the same request id."""
        attempt = 1
        while True:
            line = EventLine("INVOKE", f"{self._function.config.name} (asynchronous)", 200)
            try:
                answer = await self._function.open(event, **options)
                result = await answer.collect()
            except Throttled as throttled:
                # Not an attempt: Lambda keeps such an event for up to six hours.
                self._log(f"{options['request_id']} waits in Lambda's queue: {throttled}")
                await asyncio.sleep(SECONDS_A_MINUTE)
                continue
            line.because = answer.failure if answer.error is not None else ""
            line.end(answer, self._report)
            again, words, _ = asynchronous(event, result.status == "error", attempt)
            if words:
                self._log(f"{options['request_id']} (asynchronous) {words}")
            if again is None:
                return
            await asyncio.sleep(attempt * SECONDS_A_MINUTE)
            attempt += 1


def check_payload(kind: str, body: bytes, streamed: bool) -> None:
    """Raises Refused as Lambda does, before the function is asked."""
    kinds = ("RequestResponse", "DryRun") if streamed else ("RequestResponse", "Event", "DryRun")
    if kind not in kinds:
        raise Refused(
            400,
            "InvalidParameterValueException",
            f"X-Amz-Invocation-Type is {kind!r}: use {' or '.join(kinds)}.",
        )
    limit = MAX_ASYNCHRONOUS if kind == "Event" else MAX_EVENT
    if len(body) > limit:
        raise Refused(
            413,
            "RequestTooLargeException",
            f"The payload is over {limit} bytes, the limit of the invocation type {kind}.",
        )
    try:
        json.loads(body or b"{}", parse_int=float)  # Python reads no integer of 4,300 digits
    except (ValueError, RecursionError) as error:
        raise Refused(
            400,
            "InvalidRequestContentException",
            f"Could not parse request body into json: {error}",
        ) from error


def options_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """What the headers say of an invocation, as InvokeOptions."""
    options: dict[str, Any] = {
        "tenant_id": headers.get("x-amz-tenant-id", ""),
        "trace_id": headers.get("x-amzn-trace-id", ""),
    }
    encoded = headers.get("x-amz-client-context")
    if encoded:
        try:
            options["client_context"] = json.loads(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Refused(
                400,
                "InvalidRequestContentException",
                f"The client context must be a JSON object in base64: {error}",
            ) from error
    return options


async def _reply_whole(send: Send, answer: Answer, tail: bool) -> None:
    """The result of an invocation, or the error that it failed with: a 200 either way."""
    payload = b"".join([piece async for piece in answer])
    headers = [("content-type", "application/json"), ("x-amz-executed-version", "$LATEST")]
    if answer.error is not None:
        headers.append(("x-amz-function-error", "Unhandled"))
    if tail:
        headers.append(("x-amz-log-result", await _log_tail(answer)))
    await _reply(send, answer.request_id, 200, headers, payload)


async def _stream(send: Send, answer: Answer, tail: bool) -> None:
    """The answer as it comes, in event stream messages."""
    head = await answer.head()
    headers = [
        ("content-type", "application/vnd.amazon.eventstream"),
        ("x-amzn-remapped-content-type", head.content_type),
        ("x-amz-executed-version", "$LATEST"),
    ]
    await _start(send, answer.request_id, 200, headers)
    async for piece in answer:
        message = event_message("PayloadChunk", "application/octet-stream", piece)
        await send({"type": "http.response.body", "body": message, "more_body": True})
    complete: dict[str, str] = {}
    if answer.error is not None:
        complete["ErrorCode"] = str(answer.error.get("errorType", "Unhandled"))
        complete["ErrorDetails"] = json.dumps(answer.error)
    if tail:
        complete["LogResult"] = await _log_tail(answer)
    message = event_message("InvokeComplete", "application/json", json.dumps(complete).encode())
    await send({"type": "http.response.body", "body": message})


async def _log_tail(answer: Answer) -> str:
    """The last 4 KB of the invocation's log, its REPORT line included."""
    await answer.finished()
    log = "".join(f"{line}\n" for line in answer.log).encode()
    return base64.b64encode(log[-LOG_TAIL:]).decode("ascii")


def event_message(event_type: str, content_type: str, payload: bytes) -> bytes:
    """One message of an event stream: lengths, headers, payload, and two checksums,
    https://smithy.io/2.0/aws/amazon-eventstream.html."""
    named = {":event-type": event_type, ":content-type": content_type, ":message-type": "event"}
    headers = b""
    for name, value in named.items():
        headers += bytes([len(name)]) + name.encode() + b"\x07"  # 7: a string
        headers += len(value).to_bytes(2, "big") + value.encode()
    total = 12 + len(headers) + len(payload) + 4
    prelude = total.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


async def _refuse(send: Send, request_id: str, refused: Refused) -> None:
    headers = [("content-type", "application/json"), ("x-amzn-errortype", refused.kind)]
    body = json.dumps({"Type": "User", "Message": str(refused), "message": str(refused)}).encode()
    await _reply(send, request_id, refused.status, headers, body)


async def _reply(
    send: Send,
    request_id: str,
    status: int,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> None:
    length = [] if status == 204 else [("content-length", str(len(body)))]
    await _start(send, request_id, status, [*headers, *length])
    await send({"type": "http.response.body", "body": body})


async def _start(
    send: Send, request_id: str, status: int, headers: Iterable[tuple[str, str]]
) -> None:
    pairs = [("x-amzn-requestid", request_id), *headers]
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
