"""HTTP/1.1 replies out of bytes, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lamella.errors import RuntimeApiError
from lamella.runtime.http1 import Reply, ReplyReader, request_head

COUNTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: a/b\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nhello\r\n1\r\n,\r\nB\r\n big\r\nworld\r\n0\r\n\r\n"
)
TRAILERS = CHUNKED[:-2] + b"X-A: 1\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def replies(pieces: Iterator[bytes] | list[bytes]) -> list[Reply]:
    reader = ReplyReader()
    return [reply for piece in pieces if (reply := reader.feed(piece)) is not None]


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
    twice = data + data  # nothing of the first reply spills into the second
    for reply in replies([data[i : i + step] for i in range(0, len(data), step)] * 2):
        assert (reply.status, reply.body, reply.keep_alive) == (status, body, True)
    assert len(replies([twice[: len(data)], twice[len(data) :]])) == 2


def test_header_names_are_compared_in_lower_case() -> None:
    (reply,) = replies([COUNTED])
    assert reply.headers == {"content-type": "a/b", "content-length": "5"}


def test_connection_close_is_seen() -> None:
    (reply,) = replies([CLOSING])
    assert not reply.keep_alive


def test_what_is_not_http_is_an_error_that_shows_it() -> None:
    with pytest.raises(RuntimeApiError, match=r"'SSH-2.0-OpenSSH_9' where a status line belongs"):
        ReplyReader().feed(b"SSH-2.0-OpenSSH_9\r\n\r\n")


def test_a_request_head() -> None:
    assert request_head("GET", "/next", {"Host": "h:1", "X-A": "1"}) == (
        b"GET /next HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\n\r\n"
    )
