"""HTTP/1.1 replies out of bytes, however the bytes are cut."""

from __future__ import annotations

import re

import pytest

from lamella.http1 import Reply, ReplyReader, request_head

COUNTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: a/b\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nhello\r\n1\r\n,\r\nB\r\n big\r\nworld\r\n0\r\n\r\n"
)
TRAILERS = CHUNKED[:-2] + b"X-A: 1\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def reply_of(data: bytes) -> tuple[Reply, ReplyReader]:
    reader = ReplyReader()
    reply = reader.feed(data)
    assert reply is not None
    return reply, reader


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        pytest.param(COUNTED, 202, b"hello", id="counted"),
        pytest.param(CHUNKED, 200, b"hello, big\r\nworld", id="chunked"),
        pytest.param(TRAILERS, 200, b"hello, big\r\nworld", id="trailers"),
        pytest.param(EMPTY, 200, b"", id="empty"),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_a_reply_however_its_bytes_arrive(data: bytes, status: int, body: bytes, step: int) -> None:
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    reader = ReplyReader()
    for _ in range(2):  # nothing of the first reply spills into the second
        *nothing, reply = [reader.feed(piece) for piece in pieces]
        assert nothing == [None] * (len(pieces) - 1)
        assert reply is not None
        assert (reply.status, reply.body, reader.persistent) == (status, body, True)


def test_header_names_are_compared_in_lower_case() -> None:
    reply, _ = reply_of(COUNTED)
    assert reply.headers == {"content-type": "a/b", "content-length": "5"}


def test_connection_close_is_seen() -> None:
    _, reader = reply_of(CLOSING)
    assert not reader.persistent


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"


@pytest.mark.parametrize("step", [1, 10_000])
def test_interim_replies_are_passed_over(step: int) -> None:
    data, reader = INTERIM + COUNTED, ReplyReader()
    *_, reply = [reader.feed(data[i : i + step]) for i in range(0, len(data), step)]
    assert reply is not None
    assert (reply.status, reply.body) == (202, b"hello")


def test_what_is_repeated_is_joined_by_commas() -> None:
    reply, _ = reply_of(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 0\r\nx-a: 2\r\n\r\n")
    assert reply.headers["x-a"] == "1, 2"


def test_what_follows_a_reply_ends_the_connection() -> None:
    reply, reader = reply_of(COUNTED + b"!")
    assert reply.body == b"hello"
    assert not reader.persistent


def test_the_end_of_the_connection_ends_a_body_of_no_told_length() -> None:
    reader = ReplyReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nall of") is None
    assert reader.feed(b" it") is None
    reply = reader.feed(b"")
    assert reply is not None
    assert reply.body == b"all of it"
    assert not reader.persistent


@pytest.mark.parametrize("length", ["-1", "two", "²", "9" * 5000, "5, 5", "+5", "1_0"])
def test_a_wrong_length_is_an_error_that_shows_it(length: str) -> None:
    with pytest.raises(ValueError, match=f"a body of '{re.escape(length[:100])}"):
        ReplyReader().feed(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize("size", ["-1", "zz", "+5", "f" * 40])
def test_a_chunk_of_a_wrong_size_is_an_error(size: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(ValueError, match=size[:10].replace("+", "[+]")):
        ReplyReader().feed(head + f"{size}\r\nhello\r\n".encode())


@pytest.mark.parametrize("value", ["a\r\nX-B: 2", "a\n", "\rb", "a\0b", "€"])
def test_no_header_of_a_request_carries_another_one(value: str) -> None:
    with pytest.raises(ValueError, match=r"line break or NUL|latin-1"):
        request_head("GET", "/next", {"X-A": value})


def test_what_is_not_http_is_an_error_that_shows_it() -> None:
    with pytest.raises(ValueError, match=r"'SSH-2.0-OpenSSH_9' where a status line belongs"):
        ReplyReader().feed(b"SSH-2.0-OpenSSH_9\r\n\r\n")


def test_a_request_head() -> None:
    assert request_head("GET", "/next", {"Host": "h:1", "X-A": "1"}) == (
        b"GET /next HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\n\r\n"
    )
