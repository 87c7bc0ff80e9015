"""The HTTP client against servers that answer well, late, by halves, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lamella.aws import connection, http, tls
from lamella.aws.http import HttpClient, Unreachable, request_bytes, split
from lamella.http1 import Reply
from tests.waiting import until

from .api_gateway import listening

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
LENGTH_2 = {"content-length": "2"}
UNCOUNTED = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
CUT, RESET, HANG = b"<cut>", b"<reset>", b"<hang>"
"""What follows a reply: the connection is closed, reset, or left open with nothing more."""


class Server:
    """Answers each request with the next of `replies`, whichever connection it comes on."""

    def __init__(self, *replies: bytes, reads_bodies: bool = True) -> None:
        self.replies = list(replies)
        self.requests: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.url = ""
        self._reads_bodies = reads_bodies

    @property
    def connections(self) -> int:
        return len(self.writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.replies:
                self.requests.append(await self._request(reader))
                data, end = ended(self.replies.pop(0))
                writer.write(data)
                await writer.drain()
                if end == HANG:
                    await asyncio.sleep(60)
                if end == RESET:
                    linger = struct.pack("ii", 1, 0)
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if end:
                    break

    async def hang_up(self) -> None:
        """Close the connections, and see that the client has noticed."""
        for writer in self.writers:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.05)

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        return head + (await reader.readexactly(int(length or 0)) if self._reads_bodies else b"")


def ended(reply: bytes) -> tuple[bytes, bytes]:
    for end in (CUT, RESET, HANG):
        if reply.endswith(end):
            return reply.removesuffix(end), end
    return reply, b""


@asynccontextmanager
async def client_of(
    *replies: bytes, timeout: float = 10.0, connections: int = 4, reads_bodies: bool = True
) -> AsyncIterator[tuple[HttpClient, Server]]:
    server = Server(*replies, reads_bodies=reads_bodies)
    client = HttpClient(timeout, connections)
    async with listening(server.serve) as port:
        server.url = f"http://127.0.0.1:{port}/path?query=1"
        try:
            yield client, server
        finally:
            await client.close()


# What is sent and what is read


async def test_a_request_is_sent_as_a_whole_and_the_connection_is_kept() -> None:
    async with client_of(OK, OK) as (client, server):
        first = await client.request("POST", server.url, {"X-A": "b"}, b"body")
        second = await client.request("GET", server.url, {})
    assert first == second == Reply(200, {"content-length": "2"}, b"ok")
    assert server.connections == 1
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert line == "POST /path?query=1 HTTP/1.1"
    host = server.url.split("/")[2]
    assert {f"Host: {host}", "X-A: b", "Content-Length: 4"} <= set(fields)
    assert body == b"body"
    assert b"Content-Length" not in server.requests[1]


@pytest.mark.parametrize(
    ("method", "reply", "body"),
    [
        ("GET", OK, b"ok"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b""),
        ("GET", CHUNKED + b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
        ("GET", CHUNKED + b"1\r\na\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n", b"a"),
        (
            "POST",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + OK,
            b"ok",
        ),
    ],
)
async def test_each_kind_of_body_leaves_the_connection_for_the_next_request(
    method: str, reply: bytes, body: bytes
) -> None:
    async with client_of(reply, OK) as (client, server):
        assert (await client.request(method, server.url, {})).body == body
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        UNCOUNTED + CUT,
        b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 13\r\n\r\nuntil the end",
    ],
)
async def test_a_connection_that_ends_with_its_reply_is_not_used_again(reply: bytes) -> None:
    async with client_of(reply, OK) as (client, server):
        assert (await client.request("GET", server.url, {})).body == b"until the end"
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 2


async def test_headers_have_lower_case_names_and_repeated_ones_are_joined() -> None:
    reply = b"HTTP/1.1 200 Fine, thanks\r\nX-A:1\r\nx-a:  2 \r\nContent-Length: 0\r\n\r\n"
    async with client_of(reply) as (client, server):
        found = await client.request("GET", server.url, {})
    assert found == Reply(200, {"x-a": "1, 2", "content-length": "0"}, b"")


async def test_a_reply_that_comes_before_the_request_is_sent_ends_the_connection() -> None:
    refused = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n" + HANG
    async with client_of(refused, OK, reads_bodies=False) as (client, server):
        first = await client.request("POST", server.url, {}, b"." * 32_000_000)
        second = await client.request("GET", server.url, {})
    assert (first.status, second.status) == (413, 200)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("method", "reply", "body"),
    [
        ("POST", OK + GONE, b"ok"),
        ("POST", CHUNKED + b"1\r\na\r\n0\r\n\r\n" + GONE, b"a"),
        ("HEAD", OK, b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\nok", b""),
    ],
)
async def test_what_follows_a_reply_is_not_the_next_one(
    method: str, reply: bytes, body: bytes
) -> None:
    async with client_of(reply, OK) as (client, server):
        assert (await client.request(method, server.url, {})).body == body
        assert await client.request("POST", server.url, {}) == Reply(200, LENGTH_2, b"ok")
    assert server.connections == 2


async def test_what_nobody_asked_for_is_no_reply() -> None:
    async with client_of(OK, OK) as (client, server):
        await client.request("POST", server.url, {})
        server.writers[0].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.05)
        assert await client.request("POST", server.url, {}) == Reply(200, LENGTH_2, b"ok")
    assert server.connections == 2


async def test_a_reply_with_two_lengths_ends_the_connection() -> None:
    both = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
    async with client_of(both + b"2\r\nok\r\n0\r\n\r\n", OK) as (client, server):
        assert (await client.request("GET", server.url, {})).body == b"ok"
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 2


# Headers that are made when they are sent


async def test_headers_are_made_once_there_is_a_connection() -> None:
    answered: list[int] = []

    async with client_of(OK, OK, OK, connections=1) as (client, server):

        def headers() -> dict[str, str]:
            answered.append(3 - len(server.replies))
            return {"X-Number": str(len(answered))}

        asked = (client.request("GET", server.url, headers) for _ in range(3))
        await asyncio.gather(*asked)
    assert answered == [0, 1, 2]
    assert [f"X-Number: {n}".encode() in each for n, each in enumerate(server.requests, 1)] == [
        True
    ] * 3


async def test_headers_are_made_anew_for_a_second_try() -> None:
    made: list[dict[str, str]] = []

    def headers() -> dict[str, str]:
        made.append({"X-Number": str(len(made))})
        return made[-1]

    async with client_of(OK, CUT, OK) as (client, server):
        for _ in range(2):
            await client.request("GET", server.url, headers)
    assert [f"X-Number: {n}".encode() in each for n, each in enumerate(server.requests)] == [
        True
    ] * 3


async def test_headers_that_cannot_be_made_leave_the_connection_to_others() -> None:
    def headers() -> dict[str, str]:
        raise ValueError("no headers")

    async with client_of(OK, OK, connections=1) as (client, server):
        await client.request("GET", server.url, {})
        with pytest.raises(ValueError, match=r"^no headers$"):
            await client.request("GET", server.url, headers)
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 1


# Connections that break


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    async with client_of(OK, OK) as (client, server):
        await client.request("POST", server.url, {}, b"1")
        await server.hang_up()
        reply = await client.request("POST", server.url, {}, b"2")
    assert reply.body == b"ok"
    assert [request[-1:] for request in server.requests] == [b"1", b"2"]


async def test_nothing_is_sent_on_a_connection_that_was_closed_in_a_freeze() -> None:
    async with client_of(OK, OK) as (client, server):
        await client.request("POST", server.url, {}, b"1")
        # The event loop has no turn to notice it, and the server would still read a request.
        fileno = server.writers[0].get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(fileno)) as sock:
            sock.shutdown(socket.SHUT_WR)
        reply = await client.request("POST", server.url, {}, b"2")
    assert reply.body == b"ok"
    assert [request[-1:] for request in server.requests] == [b"1", b"2"]
    assert server.connections == 2


@pytest.mark.parametrize("has_poll", [True, False])
def test_a_socket_is_readable_where_something_came_or_it_ended(
    has_poll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not connection.is_readable(ours)
        theirs.send(b".")
        assert connection.is_readable(ours)
        ours.recv(1)
        assert not connection.is_readable(ours)
        theirs.close()
        assert connection.is_readable(ours)


@pytest.fixture
def thousand_files() -> Iterator[None]:
    """So many open files that the next one's descriptor is more than 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2048:
        pytest.skip(f"this machine allows {hard} open files, and the test needs 2048")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    with contextlib.ExitStack() as files:
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while files.enter_context(open(os.devnull, "rb")).fileno() < 1024:
            pass
        yield


@pytest.mark.usefixtures("thousand_files")
async def test_a_process_with_a_thousand_open_files_keeps_its_connections() -> None:
    async with client_of(OK, OK) as (client, server):
        for _ in range(2):
            assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("end", [CUT, RESET])
async def test_a_kept_connection_that_closes_on_the_request_is_tried_on_a_new_one(
    end: bytes,
) -> None:
    async with client_of(OK, end, OK) as (client, server):
        await client.request("GET", server.url, {})
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert len(server.requests) == 3


async def test_it_is_tried_again_once_only() -> None:
    async with client_of(OK, CUT, CUT, OK) as (client, server):
        await client.request("GET", server.url, {})
        with pytest.raises(Unreachable, match="closed the connection before its reply ended"):
            await client.request("GET", server.url, {})
    assert len(server.requests) == 3


async def test_a_new_connection_that_closes_is_not_tried_again() -> None:
    async with client_of(CUT, OK) as (client, server):
        with pytest.raises(Unreachable, match="closed the connection before its reply ended"):
            await client.request("GET", server.url, {})
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "half", [b"H", b"HTTP/1.1 200 OK\r\nContent-", OK[:-1], CHUNKED + b"5\r\nab", CHUNKED]
)
@pytest.mark.parametrize("end", [CUT, RESET])
async def test_half_a_reply_is_never_tried_again(half: bytes, end: bytes) -> None:
    async with client_of(OK, half + end, OK) as (client, server):
        await client.request("GET", server.url, {})
        with pytest.raises(Unreachable, match=r"^http://127.* closed the connection before"):
            await client.request("GET", server.url, {})
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert len(server.requests) == 3


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "IDLE_LIMIT", 0.0)
    async with client_of(OK, OK) as (client, server):
        await client.request("GET", server.url, {})
        await client.request("GET", server.url, {})
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "'SSH-2.0-OpenSSH' where a status line belongs"),
        (b"HTTP/1.1 OK\r\n\r\n", "'HTTP/1.1 OK' where"),
        (b"HTTP/2 200\r\n\r\n", "'HTTP/2 200' where"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "'two'"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "-2"),
        (CHUNKED + b"zz\r\n", "zz"),
        (CHUNKED + b"1\r\nabc\r\n", "a chunk longer than its size"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "more than 65536 bytes"),
    ],
)
async def test_what_is_not_http_is_said(reply: bytes, why: str) -> None:
    async with client_of(reply, OK) as (client, server):
        with pytest.raises(Unreachable, match=f"did not answer in HTTP: .*{why}"):
            await client.request("GET", server.url, {})
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 2


# Time


@pytest.mark.parametrize("start", [b"", OK[:20], OK[:-1], UNCOUNTED, CHUNKED + b"1\r\na"])
async def test_a_slow_server_is_given_up(start: bytes) -> None:
    async with client_of(start + HANG, OK, timeout=0.3) as (client, server):
        with pytest.raises(
            Unreachable, match=r"http://127\.0\.0\.1:\d+ did not reply within 0.3 s"
        ):
            await client.request("GET", server.url, {})
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert len(server.requests) == 2


async def test_a_slow_server_is_not_asked_again_on_a_new_connection() -> None:
    async with client_of(OK, HANG, OK, timeout=0.3) as (client, server):
        await client.request("GET", server.url, {})
        with pytest.raises(Unreachable, match="did not reply within"):
            await client.request("GET", server.url, {})
    assert len(server.requests) == 2


async def test_a_server_that_does_not_finish_the_handshake_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    client = HttpClient(0.3, 1)
    async with listening(silent) as port:
        with pytest.raises(Unreachable) as caught:
            await client.request("GET", f"https://127.0.0.1:{port}/", {})
        await client.close()
    assert str(caught.value) == (
        f"No connection to https://127.0.0.1:{port} within 0.3 s. From a VPC, AWS is "
        "reached through a NAT gateway; DynamoDB and S3 also through a gateway endpoint."
    )


@contextlib.contextmanager
def black_hole(host: str, port: int) -> Iterator[None]:
    """An address that answers nothing at all: its queue of connections is full."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            one = sockets.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield


async def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def both(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        assert host == "two.example"
        addresses = ("127.0.0.9", port), ("127.0.0.1", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    async with client_of(OK, timeout=3) as (client, server):
        port = split(server.url).port
        with black_hole("127.0.0.9", port):
            reply = await client.request("GET", f"http://two.example:{port}/", {})
    assert reply.body == b"ok"


class OtherLoop:
    """Like uvloop's: not of asyncio's kind, and without asyncio's option for addresses."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    async def create_connection(self, *_: Any, **options: Any) -> Any:
        self.options = options
        raise OSError("played")


async def test_another_kind_of_loop_is_not_given_options_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = OtherLoop()
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "get_running_loop", lambda: loop)
        with pytest.raises(OSError, match=r"^played$"):
            await http.connect(split("http://127.0.0.1/"), None)
    assert loop.options == {"ssl": None}


async def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match=rf"^No connection to http://127.0.0.1:{port}: .*Errno"):
        await HttpClient(5, 1).request("GET", f"http://127.0.0.1:{port}/", {})


# Many at once, and requests that nobody waits for any more


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.001)
            path = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


async def test_many_requests_share_a_bounded_number_of_connections() -> None:
    opened = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await echo(reader, writer)

    client = HttpClient(10, 5)
    async with listening(counting) as port:
        paths = [f"/{number}" for number in range(500)]
        asked = (client.request("GET", f"http://127.0.0.1:{port}{path}", {}) for path in paths)
        replies = await asyncio.gather(*asked)
        await client.close()
    assert [reply.body.decode() for reply in replies] == paths
    assert opened == 5


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla" + HANG
    async with client_of(OK, late, OK, connections=1) as (client, server):
        await client.request("GET", server.url, {})
        request = asyncio.create_task(client.request("GET", server.url, {}))
        await until(lambda: len(server.requests) == 2)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert (await client.request("GET", server.url, {})).body == b"ok"
    assert server.connections == 2


async def test_a_cancelled_request_closes_its_connection_at_once() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()

    client = HttpClient(10, 1)
    async with listening(serve) as port:
        request = asyncio.create_task(client.request("GET", f"http://127.0.0.1:{port}/", {}))
        await asked.wait()
        request.cancel()
        await asyncio.wait_for(closed.wait(), 10)


async def test_a_cancelled_request_that_waits_gives_its_turn_away() -> None:
    async with client_of(OK, OK, connections=1) as (client, server):
        first, second, third = (
            asyncio.create_task(client.request("GET", server.url, {})) for _ in range(3)
        )
        await asyncio.sleep(0)
        second.cancel()
        assert [reply.body for reply in await asyncio.gather(first, third)] == [b"ok", b"ok"]
        assert second.cancelled()


async def test_close_ends_what_is_under_way() -> None:
    async with client_of(HANG) as (client, server):
        request = asyncio.create_task(client.request("GET", server.url, {}))
        await until(lambda: len(server.requests) == 1)
        await client.close()
        with pytest.raises(Unreachable, match="closed the connection"):
            await request


# TLS


class Authority:
    """A certificate authority with a name, and servers' certificates of it for 127.0.0.1."""

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            self._about(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(USAGE, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = (
            self._about(name, key.public_key())
            .add_extension(address, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self._folder / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    def _about(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@pytest.fixture
def authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Authority]]:
    """AWS's and another one, which this machine trusts, and one that it does not."""
    found = {
        "aws": Authority("Amazon Root CA 7", tmp_path),
        "other": Authority("Other Root CA", tmp_path),
        "unknown": Authority("Unknown Root CA", tmp_path),
    }
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(f"# two\n{found['aws'].pem}\n# of them\n{found['other'].pem}")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    tls.aws_authorities.cache_clear()
    tls.all_authorities.cache_clear()
    yield found
    tls.aws_authorities.cache_clear()
    tls.all_authorities.cache_clear()


@pytest.mark.parametrize("name", ["aws", "other"])
async def test_a_certificate_of_an_authority_of_the_machine_is_good(
    authorities: dict[str, Authority], name: str
) -> None:
    client = HttpClient(10, 1)
    server = Server(OK, OK)
    async with listening(server.serve, authorities[name].server()) as port:
        for _ in range(2):
            reply = await client.request("POST", f"https://127.0.0.1:{port}/", {}, b"x" * 100_000)
            assert reply.body == b"ok"
        await client.close()
    assert server.connections == 1


async def test_another_certificate_is_refused(authorities: dict[str, Authority]) -> None:
    client = HttpClient(10, 1)
    server = Server(OK)
    async with listening(server.serve, authorities["unknown"].server()) as port:
        with pytest.raises(Unreachable, match=r"No connection to https://127.*CERTIFICATE_VERIFY"):
            await client.request("GET", f"https://127.0.0.1:{port}/", {})
    assert not server.requests


async def test_a_certificate_is_for_its_host_only(authorities: dict[str, Authority]) -> None:
    client = HttpClient(10, 1)
    server = Server(OK)
    async with listening(server.serve, authorities["aws"].server()) as port:
        with pytest.raises(Unreachable, match="localhost"):
            await client.request("GET", f"https://localhost:{port}/", {})
    assert not server.requests


def test_of_the_machine_s_authorities_aws_s_own_are_read_first(
    authorities: dict[str, Authority],
) -> None:
    names = [dict(part[0] for part in each["subject"]) for each in loaded(tls.aws_authorities())]
    assert names == [{"commonName": "Amazon Root CA 7"}]
    assert len(loaded(tls.all_authorities())) == 2


def test_a_machine_without_them_has_all_read(
    authorities: dict[str, Authority], tmp_path: Path
) -> None:
    (tmp_path / "bundle.crt").write_text(authorities["other"].pem)
    assert tls.aws_authorities() is tls.all_authorities()


def loaded(context: ssl.SSLContext) -> list[dict[str, tuple[tuple[tuple[str, str], ...], ...]]]:
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    return context.get_ca_certs()  # type: ignore[return-value]  # typeshed mixes all the fields


# URLs and heads


@pytest.mark.parametrize(
    "text",
    [
        "https://id.execute-api.eu-west-1.amazonaws.com/prod",
        "HTTP://Example.COM:8080",
        "http://[::1]:80/a?b=c?d",
        "https://[fe80::1]/x/?y/z",
        "https://h?q=a/b",
        "https://h/#f?x",
    ],
)
def test_a_url_has_the_parts_that_urllib_finds(text: str) -> None:
    url, parts = split(text), urlsplit(text)
    default = 80 if parts.scheme == "http" else 443
    assert url == (
        parts.scheme,
        parts.hostname,
        parts.port or default,
        parts.path or "/",
        parts.query,
    )


@pytest.mark.parametrize(
    "text", ["", "/path", "wss://host/", "https://", "https:///x", "http://h:x/", "http://h/\xe9"]
)
def test_what_is_no_url_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not an encoded http:// or https:// URL") as caught:
        split(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0"])
def test_a_header_cannot_carry_another_one(value: str) -> None:
    with pytest.raises(ValueError, match="line break or NUL"):
        request_bytes("GET", split("http://h/"), {"X": value}, b"")
