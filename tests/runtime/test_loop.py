"""The slot of the invocation loop, without a process: what one invocation takes and leaves."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextvars import ContextVar
from typing import Any

import pytest
from awslambdaric.lambda_context import LambdaContext  # type: ignore[import-untyped]

from lamella.runtime import ric
from lamella.runtime.client import NextInvocation
from lamella.runtime.connection import Connection
from lamella.runtime.loop import Slot
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.testing import events

pytestmark = pytest.mark.anyio

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class Api(asyncio.Transport):
    """A Runtime API in place of a socket: answers each write in the event loop's next turn, and
    gives `number` invocations of one event."""

    def __init__(self, number: int, event: Any = None) -> None:
        super().__init__()
        self.event = json.dumps(event or events.function_url()).encode()
        self.loop = asyncio.get_running_loop()
        self.connection = Connection(self.loop)
        self.connection.connection_made(self)
        self.left = number
        self.seconds: float | None = None
        """From the event to Lambda's deadline."""
        self.answers: list[dict[str, Any]] = []
        self.over = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if bytes(data).startswith(b"POST"):
            self.answers.append(json.loads(bytes(data).partition(b"\r\n\r\n")[2]))
            self.loop.call_soon(self._reply, ACCEPTED)
        elif self.left:
            self.left -= 1
            head = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-1\r\n"
            if self.seconds is not None:
                deadline = int((time.time() + self.seconds) * 1000)
                head += b"Lambda-Runtime-Deadline-Ms: %d\r\n" % deadline
            length = b"Content-Length: %d\r\n\r\n" % len(self.event)
            self.loop.call_soon(self._reply, head + length + self.event)
        else:
            self.over.set()

    def _reply(self, data: bytes) -> None:
        self.connection.get_buffer(-1)[: len(data)] = data
        self.connection.buffer_updated(len(data))

    def abort(self) -> None:
        """Nothing is open."""


seen: ContextVar[int] = ContextVar("seen")


async def application(scope: Any, receive: Any, send: Any) -> None:
    before = seen.get(0)
    seen.set(before + 1)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"%d" % before})


async def test_an_invocation_takes_the_two_turns_of_its_two_replies() -> None:
    """On 3.12 and later: a third turn is a tenth of what a bare invocation costs. Whatever the
    application sets in its context ends with the invocation."""
    number = 20
    api = Api(number)

    async def connect(_address: str) -> Connection:
        return api.connection

    turns, counting = 0, True

    def count() -> None:
        nonlocal turns
        turns += 1
        if counting:
            api.loop.call_soon(count)

    errors: list[BaseException] = []
    service = Service(application, from_arguments({}))
    slot = Slot("127.0.0.1:9001", service, {}, errors.append, connect=connect)
    slot.next()
    api.loop.call_soon(count)
    await api.over.wait()
    counting = False
    assert not errors
    assert [answer["body"] for answer in api.answers] == ["0"] * number
    if sys.version_info >= (3, 12):
        assert turns < 2 * number + 10
    slot.close()


def invocation(**fields: str) -> NextInvocation:
    nothing = dict.fromkeys(NextInvocation._fields)
    return NextInvocation(**{**nothing, "body": b"{}", "request_id": "r-1", **fields})  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("cognito", [None, '{"cognitoIdentityId": "i"}'])
def test_a_context_has_what_awslambdaric_gives_it(
    monkeypatch: pytest.MonkeyPatch, cognito: str | None
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "the-function")
    ric._template.cache_clear()
    fields = {"function_arn": "arn", "tenant_id": "t"}
    if cognito:
        fields["cognito_identity"] = cognito
    first, second = (ric.lambda_context(invocation(**fields), 7) for _ in range(2))
    parsed = json.loads(cognito) if cognito else None
    expected = LambdaContext("r-1", None, parsed, 7, "arn", "t")
    assert repr(first) == repr(expected)
    assert first.function_name == "the-function"
    assert vars(first).keys() == vars(expected).keys()
    assert first.identity is not second.identity, "an invocation's own"
    ric._template.cache_clear()
