"""HTTP/1.1 as the Runtime API speaks it: requests to bytes, bytes to replies. No I/O.

Source: RFC 9112. The Runtime API is plain HTTP on loopback and written by AWS, so this reads
what its servers send (a status line, headers, and a body that is empty, counted or chunked) and
nothing beyond.
"""

from __future__ import annotations

from typing import NamedTuple

from lamella.errors import RuntimeApiError


class Reply(NamedTuple):
    """A whole reply: `headers` with lower-case names, `body` without its transfer coding."""

    status: int
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


def request_head(method: str, path: str, headers: dict[str, str]) -> bytes:
    """Request line and headers, with the empty line that ends them."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Head(NamedTuple):
    """Status line and headers of a reply; `length` of its body, None where that is chunked."""

    status: int
    headers: dict[str, str]
    keep_alive: bool
    length: int | None


class ReplyReader:
    """Collects bytes until they make a reply. One reader reads the replies of a connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Head | None = None
        self._chunks: bytearray | None = None  # the body so far, where it is chunked

    def feed(self, data: bytes | memoryview) -> Reply | None:
        """Take bytes; give the reply once it is whole. Raises `RuntimeApiError`."""
        if self._head is None and not self._buffer:
            reply = _whole(bytes(data))
            if reply is not None:
                return reply
        self._buffer += data
        if self._head is None and not self._read_head():
            return None
        body = self._read_counted() if self._chunks is None else self._read_chunks()
        if body is None or self._head is None:
            return None
        head, self._head = self._head, None
        return Reply(head.status, head.headers, body, head.keep_alive)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._head = _head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._chunks = bytearray() if self._head.length is None else None
        return True

    def _read_counted(self) -> bytes | None:
        needed = self._head.length if self._head is not None else None
        if needed is None or len(self._buffer) < needed:
            return None
        body = bytes(self._buffer[:needed])
        del self._buffer[:needed]
        return body

    def _read_chunks(self) -> bytes | None:
        """Move whole chunks out of the buffer; the body once the last chunk is there."""
        assert self._chunks is not None
        while True:
            end = self._buffer.find(b"\r\n")
            if end < 0:
                return None
            size = int(self._buffer[:end].partition(b";")[0], 16)
            start = end + 2
            if size == 0:
                return self._end_chunks(start)
            if len(self._buffer) < start + size + 2:
                return None
            self._chunks += self._buffer[start : start + size]
            del self._buffer[: start + size + 2]

    def _end_chunks(self, start: int) -> bytes | None:
        """The body, once the empty line after the last chunk (and its trailers) is there."""
        if self._buffer[start : start + 2] == b"\r\n":
            del self._buffer[: start + 2]
        else:
            end = self._buffer.find(b"\r\n\r\n", start)
            if end < 0:
                return None
            del self._buffer[: end + 4]
        assert self._chunks is not None
        return bytes(self._chunks)


def _whole(data: bytes) -> Reply | None:
    """The reply where these bytes are all of it, as they are for small ones; else None."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = _head(data[:end])
    if head.length != len(data) - end - 4:
        return None
    return Reply(head.status, head.headers, data[end + 4 :], head.keep_alive)


def _head(data: bytes) -> Head:
    """Read a status line and headers. Raises `RuntimeApiError` for what is no status line."""
    lines = data.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise RuntimeApiError(f"The Runtime API sent {lines[0]!r} where a status line belongs.")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    keep_alive = headers.get("connection", "").lower() != "close" and version != "HTTP/1.0"
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    length = None if chunked else int(headers.get("content-length") or 0)
    return Head(int(rest[:3]), headers, keep_alive, length)
