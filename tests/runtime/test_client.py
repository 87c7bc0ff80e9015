"""The Runtime API client against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lamella.errors import InvocationError, RuntimeApiError
from lamella.runtime import client as client_module
from lamella.runtime.client import NextInvocation, RuntimeClient
from tests.waiting import PATIENCE

pytestmark = pytest.mark.anyio

NEXT = (
    b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-1\r\n"
    b"Lambda-Runtime-Deadline-Ms: 1000\r\nLambda-Runtime-Trace-Id:\r\nContent-Length: 2\r\n\r\n{}"
)
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nbusy"
HANG_UP = b""
CUT = b"<cut>"  # at a reply's end: the connection is closed there
CUT_BODY = NEXT[:-1] + CUT
CUT_CHUNK = (
    b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-0\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel" + CUT
)
CUT_HEAD = NEXT[:40] + CUT


class Server:
    """Answers each request with the next of `replies`; `HANG_UP` closes the connection."""

    def __init__(self, replies: list[bytes]) -> None:
        self.replies = replies
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.replies and (head := await reader.readuntil(b"\r\n\r\n")):
                body = await self._body(head, reader)
                self.requests.append(head + body)
                reply = self.replies.pop(0)
                if reply is HANG_UP:
                    break
                writer.write(reply.removesuffix(CUT))
                if reply.endswith(CUT):
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        """The body as it comes; of one that is to be cut off, the first bytes."""
        if not head.startswith(b"POST"):
            return b""
        if b"Transfer-Encoding: chunked" in head and self.replies[0] is not HANG_UP:
            body = bytearray()
            while not body.endswith(b"0\r\n\r\n"):
                body += await reader.read(1 << 20)
            return bytes(body)
        return await reader.read(65536)


class Failures(list[RuntimeApiError]):
    """What the client called unrecoverable."""

    def __init__(self) -> None:
        super().__init__()
        self._some = asyncio.Event()

    def note(self, error: RuntimeApiError) -> None:
        self.append(error)
        self._some.set()

    async def first(self) -> RuntimeApiError:
        await asyncio.wait_for(self._some.wait(), PATIENCE)
        return self[0]


@asynccontextmanager
async def talking_to(*replies: bytes) -> AsyncIterator[tuple[RuntimeClient, Server, Failures]]:
    server = Server(list(replies))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    failures = Failures()
    client = RuntimeClient(f"127.0.0.1:{port}", failures.note)
    try:
        yield client, server, failures
    finally:
        client.close()
        listening.close()
        await asyncio.sleep(0.01)


async def next_of(client: RuntimeClient) -> NextInvocation:
    received: asyncio.Future[NextInvocation] = asyncio.get_running_loop().create_future()
    client.next(received.set_result)
    return await asyncio.wait_for(received, PATIENCE)


async def acknowledged(client: RuntimeClient) -> None:
    done = asyncio.Event()
    client.when_acknowledged(done.set)
    await asyncio.wait_for(done.wait(), PATIENCE)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY", 0.001)


async def test_one_connection_for_many_invocations() -> None:
    async with talking_to(NEXT, ACCEPTED, NEXT, ACCEPTED) as (client, server, _):
        for _ in range(2):
            invocation = await next_of(client)
            client.respond(invocation, b'{"a":1}')
            await acknowledged(client)
    assert server.connections == 1
    assert server.requests[1].startswith(b"POST /2018-06-01/runtime/invocation/r-1/response ")
    assert server.requests[1].endswith(b'Content-Length: 7\r\n\r\n{"a":1}')


async def test_empty_headers_mean_absent() -> None:
    async with talking_to(NEXT) as (client, _, _):
        assert (await next_of(client)).trace_id is None


FAULTS = {
    "hang-up": HANG_UP,
    "500": FAILED,
    "cut-head": CUT_HEAD,
    "cut-body": CUT_BODY,
    "cut-chunk": CUT_CHUNK,
    "no-http": b"SSH-2.0-OpenSSH_9\r\n\r\n" + CUT,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_next_is_asked_again_after_a_fault(
    fault: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with talking_to(fault, fault, NEXT) as (client, server, failures):
        assert (await next_of(client)).request_id == "r-1"
    assert len(server.requests) == 3
    assert failures == []
    assert "Asking again in" in caplog.text


async def test_next_gives_up_after_several_faults() -> None:
    async with talking_to(*[FAILED] * 9) as (client, server, failures):
        client.next(lambda invocation: None)
        assert "refused /next: 500 busy" in str(await failures.first())
    assert len(server.requests) <= client_module.NEXT_TRIES + 1


@pytest.mark.parametrize("fault", [HANG_UP, ACCEPTED[:20] + CUT], ids=["hang-up", "cut"])
async def test_an_answer_is_sent_again_when_the_connection_broke_under_it(fault: bytes) -> None:
    async with talking_to(NEXT, fault, ACCEPTED) as (client, server, failures):
        client.respond(await next_of(client), b"{}")
        await acknowledged(client)
    assert server.requests[1] == server.requests[2]
    assert failures == []


@pytest.mark.parametrize("status", [400, 403])
async def test_an_answer_that_was_taken_before_its_connection_broke_is_refused_in_peace(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 3\r\n\r\nwhy" % status
    async with talking_to(NEXT, HANG_UP, refusal, NEXT) as (client, _, failures):
        client.respond(await next_of(client), b"{}")
        await acknowledged(client)
        await next_of(client)
    assert f"refused the answer: {status} why" in caplog.text
    assert failures == []


@pytest.mark.parametrize("status", [400, 410, 413])
async def test_a_refused_answer_is_a_log_record(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 3\r\n\r\nwhy" % status
    async with talking_to(NEXT, refusal, NEXT) as (client, _, failures):
        client.respond(await next_of(client), b"{}")
        await acknowledged(client)
        await next_of(client)
    assert f"refused the answer: {status} why" in caplog.text
    assert failures == []


@pytest.mark.parametrize("status", [403, 500])
async def test_a_refusal_that_ends_the_process(status: int) -> None:
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
    async with talking_to(NEXT, refusal) as (client, _, failures):
        client.respond(await next_of(client), b"{}")
        assert (await failures.first()).status == status


async def test_an_error_names_its_type() -> None:
    async with talking_to(NEXT, ACCEPTED) as (client, server, _):
        client.respond_error(await next_of(client), InvocationError("no", "Runtime.Unmarshal"))
        await acknowledged(client)
    assert b"/invocation/r-1/error" in server.requests[1]
    assert b"Lambda-Runtime-Function-Error-Type: Runtime.Unmarshal\r\n" in server.requests[1]


async def test_the_connection_is_closed_after_a_stream() -> None:
    async with talking_to(NEXT, ACCEPTED, NEXT) as (client, server, _):
        stream = client.open_stream(await next_of(client), done)
        stream.end(b"all")
        await acknowledged(client)
        await next_of(client)
    assert server.connections == 2
    assert server.requests[1].endswith(b"3\r\nall\r\n0\r\n\r\n")


async def test_a_connection_that_is_not_made_at_once_keeps_nobody_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hundreds of slots fill the queue of a Runtime API: a plain connect would stop the loop."""
    waited: list[float] = []

    def full(_address: object, timeout: float) -> None:
        waited.append(timeout)
        raise TimeoutError

    monkeypatch.setattr("lamella.runtime.connection.socket.create_connection", full)
    async with talking_to(NEXT) as (client, _, _):
        assert (await next_of(client)).request_id == "r-1"
    assert waited == [pytest.approx(0.02)]


async def test_a_stream_that_lambda_cuts_off_raises_in_the_application(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with talking_to(NEXT, HANG_UP, NEXT) as (client, _, _):
        stream = client.open_stream(await next_of(client), done)
        stream.write(b"one")
        await acknowledged(client)
        with pytest.raises(OSError, match="cut off by the Runtime API"):
            await stream.drain()
        assert (await next_of(client)).request_id == "r-1"


async def test_an_idle_connection_that_its_server_closed_is_renewed_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with talking_to(NEXT, ACCEPTED, HANG_UP, NEXT) as (client, server, failures):
        client.respond(await next_of(client), b"{}")
        await acknowledged(client)
        assert (await next_of(client)).request_id == "r-1"
    assert server.connections == 2
    assert caplog.text == ""
    assert failures == []


async def test_a_reply_of_a_wrong_length_costs_one_connection_and_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    short, worse = (
        NEXT.replace(b"Length: 2", b"Length: 1"),
        NEXT.replace(b"Length: 2", b"Length: x"),
    )
    async with talking_to(short, ACCEPTED, worse, NEXT) as (client, _, failures):
        invocation = await next_of(client)
        assert invocation.body == b"{"
        client.respond(invocation, b"{}")
        await acknowledged(client)
        assert (await next_of(client)).body == b"{}"
    assert "did not answer in HTTP: a body of 'x' bytes" in caplog.text
    assert failures == []


async def test_interim_replies_are_passed_over() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    async with talking_to(interim + NEXT, interim + ACCEPTED, NEXT) as (client, server, _):
        client.respond(await next_of(client), b"{}")
        await acknowledged(client)
        assert (await next_of(client)).request_id == "r-1"
    assert server.connections == 1


@pytest.mark.parametrize("deadline", ["soon", "²", "9" * 5000, "-5", "1e12"])
async def test_a_deadline_that_is_no_time_is_the_invocations_error(deadline: str) -> None:
    odd = NEXT.replace(b"1000", deadline.encode("latin-1"))
    async with talking_to(odd) as (client, _, failures):
        invocation = await next_of(client)
        with pytest.raises(InvocationError, match="Lambda-Runtime-Deadline-Ms is"):
            invocation.deadline_ms  # noqa: B018  a property that raises
    assert failures == []


async def test_52_megabytes_on_a_renewed_connection_wait_for_their_reader() -> None:
    closing = NEXT.replace(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
    part = b"." * 65_536
    async with talking_to(closing, ACCEPTED) as (client, server, failures):
        stream = client.open_stream(await next_of(client), done)
        for _ in range(800):
            stream.write(part)
            await stream.drain()
        stream.end(b"")
        await acknowledged(client)
    assert server.requests[1].count(part) == 800
    assert failures == []


NO_ID = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ODD_ID = NEXT.replace(b"r-1", b"r 1\nX: y")


@pytest.mark.parametrize("reply", [NO_ID, ODD_ID])
async def test_invocations_that_nobody_could_answer_end_the_process(reply: bytes) -> None:
    async with talking_to(*[reply] * 9) as (client, _, failures):
        client.next(lambda invocation: None)
        assert "no invocation can have" in str(await failures.first())


async def test_a_stream_begins_on_a_fresh_connection_where_the_old_one_broke() -> None:
    closing = NEXT.replace(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
    async with talking_to(closing, ACCEPTED) as (client, server, failures):
        stream = client.open_stream(await next_of(client), done)
        stream.write(b"one")
        await stream.drain()
        stream.end(b"two")
        await acknowledged(client)
    assert server.requests[1].endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert failures == []


def done() -> None:
    """The stream ended."""


def bad_addresses() -> list[str]:
    return ["", "localhost", "127.0.0.1:x", "127.0.0.1:1"]


@pytest.mark.parametrize("address", bad_addresses())
async def test_a_wrong_address_is_named(address: str) -> None:
    failures = Failures()
    client = RuntimeClient(address, failures.note)
    client.next(lambda invocation: None)
    assert f"AWS_LAMBDA_RUNTIME_API={address!r}" in str(await failures.first())
