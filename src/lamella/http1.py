"""HTTP/1.1 as a client speaks it: requests to bytes, bytes to replies. No I/O.

Source: RFC 9112 (messages), RFC 9110 (fields). The Runtime API and AWS's services are both read
here, so that both get the same answer to every odd reply.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from typing import NamedTuple

from lamella import __version__

USER_AGENT = f"lamella/{__version__} python/{sys.version_info[0]}.{sys.version_info[1]}"

LIMIT = 64 * 1024
"""Bytes that a reply's head, and a line of a chunked body, may have."""

More = Generator[None, None, bytes]
"""Yields where it takes more bytes, and returns what was asked for."""


class Reply(NamedTuple):
    """A whole reply: `headers` with lower-case names, `body` without its transfer coding."""

    status: int
    headers: dict[str, str]
    body: bytes


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Request line and headers, with the empty line that ends them.

    Raises `ValueError` for a line break, NUL or what is not latin-1: it would not stay in its
    header.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    text = "\r\n".join(lines)
    if text.count("\n") >= len(lines) or text.count("\r") >= len(lines) or "\0" in text:
        raise ValueError("a header has a line break or NUL in it")
    return (text + "\r\n\r\n").encode("latin-1")


def read_head(data: bytes) -> tuple[int, dict[str, str], bool]:
    """Status, headers, and whether another request may follow on the connection.

    `data` is a reply's head without the empty line that ends it. Raises `ValueError`.

    What is repeated is joined by commas (RFC 9110, section 5.3). A connection ends with a reply
    whose length is told in two ways (RFC 9112, section 6.3).
    """
    line, *fields = data.decode("latin-1").split("\r\n")
    version, _, rest = line.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or not rest[:3].isdecimal():
        raise ValueError(f"{line[:100]!r} where a status line belongs")
    headers: dict[str, str] = {}
    for field in fields:
        name, _, value = field.partition(":")
        name, value = name.lower(), value.strip()
        if name in headers:
            value = f"{headers[name]}, {value}"
        headers[name] = value
    persistent = version == "HTTP/1.1"
    if "connection" in headers:
        options = headers["connection"].lower().replace(" ", "").split(",")
        persistent = persistent and "close" not in options
    if "transfer-encoding" in headers and "content-length" in headers:
        persistent = False
    return int(rest[:3]), headers, persistent


class ReplyReader:
    """Collects bytes until they make a reply. One reader reads the replies of a connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._reading: Generator[None, None, Reply] | None = None
        self._ended = False
        self.persistent = True
        """Whether another request may follow on the connection."""
        self.to_head = False
        """Whether the request was a HEAD, whose reply has no body whatever it says of one."""

    def feed(self, data: bytes | memoryview) -> Reply | None:
        """Take bytes, or b"" at the end of the connection; give the reply once it is whole.

        Raises `ValueError` for what is not HTTP.
        """
        if self._reading is None:
            # Most replies come in one piece, and are read without a generator and a buffer: that
            # is a tenth of what Lamella costs a warm invocation.
            head_data, end, body = bytes(data).partition(b"\r\n\r\n")
            if end and len(head_data) < LIMIT and not self.to_head:
                status, headers, persistent = read_head(head_data)
                counted = headers.get("content-length") == str(len(body))
                if counted and persistent and status in (200, 202):
                    return Reply(status, headers, body)
            self._reading = self._read()
        self._buffer += data
        self._ended = not data
        try:
            next(self._reading)
        except StopIteration as done:
            self._reading = None
            reply: Reply = done.value
            return reply
        return None

    def _read(self) -> Generator[None, None, Reply]:
        """One reply. Interim ones (RFC 9110, section 15.2) are passed over."""
        while True:
            head = yield from self._until(b"\r\n\r\n")
            status, headers, self.persistent = read_head(head)
            if status // 100 != 1:
                break
        if self.to_head or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = yield from self._chunks()
        elif "content-length" in headers:
            length = headers["content-length"]
            if not (length.isascii() and length.isdigit() and len(length) < 16):
                raise ValueError(f"a body of {length[:100]!r} bytes")
            body = yield from self._exactly(int(length))
        else:  # the end of the connection ends the body
            self.persistent = False
            while not self._ended:
                yield
            body = yield from self._exactly(len(self._buffer))
        if self._buffer:  # what follows a reply would be taken for the next one
            self.persistent = False
        return Reply(status, headers, body)

    def _chunks(self) -> More:
        body = bytearray()
        while size := (yield from self._until(b"\r\n")).partition(b";")[0].strip().lstrip(b"0"):
            if not size.isalnum() or len(size) > 12:
                raise ValueError(f"a chunk of {size[:100]!r} bytes")
            body += yield from self._exactly(int(size, 16))
            if (yield from self._exactly(2)) != b"\r\n":
                raise ValueError("a chunk longer than its size")
        while (yield from self._until(b"\r\n")):  # trailers
            pass
        return bytes(body)

    def _until(self, end: bytes) -> More:
        """What comes before `end`."""
        while (found := self._buffer.find(end, 0, LIMIT)) < 0:
            if len(self._buffer) >= LIMIT:
                raise ValueError(f"a head or a line of more than {LIMIT} bytes")
            yield
        data = bytes(self._buffer[:found])
        del self._buffer[: found + len(end)]
        return data

    def _exactly(self, size: int) -> More:
        while len(self._buffer) < size:
            yield
        if len(self._buffer) == size:  # as it is for most bodies: one copy
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            data = bytes(self._buffer[:size])
            del self._buffer[:size]
        return data
