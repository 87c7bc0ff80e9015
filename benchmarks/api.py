"""A Runtime API that adds as little as it can, and notes when bytes arrive.

One thread, driven by the harness: between two calls nothing runs here, so nothing disturbs the
process that is measured. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import selectors
import socket
import time
from typing import NamedTuple

TIMEOUT = 30  # seconds for the rest of a request that has begun
TAKEN = b'{"status":"OK"}\n'


class Call(NamedTuple):
    """A request of the runtime; `first_at` and `at` are the monotonic seconds at which the
    first piece and the end of its body had arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    first_at: float
    at: float
    connection: Connection


class RuntimeApi:
    """Listens on a loopback port; `call` waits for one request at a time."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def call(self, timeout: float) -> Call | None:
        """The next request, read whole; None where none begins within `timeout` seconds."""
        while ready := self._selector.select(timeout):
            connection = ready[0][0].data
            if connection is None:
                self._accept()
            elif call := connection.read():
                return call  # type: ignore[no-any-return]  # the selector's data is untyped
            else:
                self._drop(connection)
        return None

    def close(self) -> None:
        """Close every socket."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # all of them are sockets
        self._selector.close()

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()


class Connection:
    """One connection of the runtime: requests in, replies out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()

    def read(self) -> Call | None:
        """The request that has begun to arrive; None where the runtime closed instead."""
        head = self._until(b"\r\n\r\n")
        if not head:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        fields = (line.partition(": ") for line in lines[1:] if line)
        headers = {name.lower(): value for name, _, value in fields}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body, first_at = self._chunks()
        else:
            body, first_at = self._exactly(int(headers.get("content-length", 0))), 0.0
        at = time.monotonic()
        return Call(method, path, headers, body, first_at or at, at, self)

    def reply(self, status: bytes, headers: bytes, body: bytes) -> None:
        """Answer in one write; each of `headers` ends in CRLF."""
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        kind = b"Content-Type: application/json\r\n"
        self.sock.sendall(b"HTTP/1.1 " + status + b"\r\n" + kind + headers + length + body)

    def _chunks(self) -> tuple[bytes, float]:
        """A chunked body (RFC 9112, section 7.1), and when its first chunk was there."""
        body, first_at = bytearray(), 0.0
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size + 2)[:-2]
            first_at = first_at or time.monotonic()
        while self._until(b"\r\n") != b"\r\n":
            pass  # trailers
        return bytes(body), first_at

    def _until(self, end: bytes) -> bytes:
        while (found := self._buffer.find(end)) < 0:
            if not self._receive():
                return b""
        return self._take(found + len(end))

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._receive():
                raise ConnectionError("the runtime closed its connection within a request")
        return self._take(size)

    def _receive(self) -> int:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return len(data)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
