"""HTTP requests over kept-alive connections, with TLS and without, on asyncio.

Connections are direct: HTTPS_PROXY and its like are not read. Another bundle of authorities comes
from SSL_CERT_FILE, not from AWS_CA_BUNDLE.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lamella.aws import tls
from lamella.aws.connection import Connection
from lamella.http1 import USER_AGENT, Reply, request_head

PORTS = {"http": 80, "https": 443}

NEXT_ADDRESS = 0.25
"""Seconds until the next of a host's addresses is tried besides (RFC 8305, section 5)."""


class Unreachable(OSError):
    """No reply: no connection, a broken one, or none in time. The message names the server."""


class Url(NamedTuple):
    """An http or https URL in its parts; `path` and `query` are percent-encoded already."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def authority(self) -> str:
        """The Host header's value (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme and authority: what one connection reaches."""
        return f"{self.scheme}://{self.authority}"


def split(text: str) -> Url:
    """The parts of a URL. Raises `ValueError`. (urllib.parse takes 2 ms to import.)"""
    scheme, _, rest = text.partition("#")[0].partition("://")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = authority.partition(":")
    scheme = scheme.lower()
    encoded = text.isascii() and text.isprintable() and " " not in text
    if scheme not in PORTS or not host or not encoded or (port and not port.isdecimal()):
        raise ValueError(f"{text!r} is not an encoded http:// or https:// URL")
    return Url(scheme, host.lower(), int(port or PORTS[scheme]), slash + path or "/", query)


def request_bytes(method: str, url: Url, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it is sent: `headers` and those that every request has. Raises `ValueError`."""
    fields = {"Host": url.authority, "User-Agent": USER_AGENT, **headers}
    if body or method in ("POST", "PUT"):  # RFC 9110, section 8.6
        fields["Content-Length"] = str(len(body))
    target = f"{url.path}?{url.query}" if url.query else url.path
    return request_head(method, target, fields) + body


class HttpClient:
    """Sends requests; one object serves one event loop.

    `timeout` is in seconds, for one exchange from connecting to the last byte of the reply;
    waiting until one of `connections` per server is free does not count, so that a thousand
    requests at once do not fail for being many.
    """

    def __init__(self, timeout: float, connections: int) -> None:
        self._timeout = timeout
        self._connections = connections
        self._servers: dict[str, _Server] = {}

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]],
        body: bytes = b"",
    ) -> Reply:
        """The reply, whatever its status. Raises `Unreachable`, `ValueError` for a bad URL.

        A function in place of `headers` makes them at the last moment, when there is a connection.

        A request is sent a second time where a kept connection turns out to be closed and no
        byte of a reply came, so a server may, very seldom, see it twice.
        """
        parts = split(url)

        def data() -> bytes:
            made = headers() if callable(headers) else headers
            return request_bytes(method, parts, made, body)

        server = self._servers.get(parts.origin)
        if server is None:
            server = self._servers[parts.origin] = _Server(parts, self._timeout, self._connections)
        return await server.ask(method, data)

    async def close(self) -> None:
        """Close every connection; a caller that waits gets `Unreachable`."""
        for server in self._servers.values():
            await server.close()


class _Server:
    """The connections to one server: `limit` at most, the one used last first."""

    def __init__(self, url: Url, timeout: float, limit: int) -> None:
        self._url = url
        self._timeout = timeout
        self._free = asyncio.Semaphore(limit)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    async def ask(self, method: str, data: Callable[[], bytes]) -> Reply:
        loop, origin = asyncio.get_running_loop(), self._url.origin
        async with self._free:
            end = loop.time() + self._timeout
            while self._idle:
                kept = self._idle.pop()
                if not kept.reusable:
                    self._drop(kept)
                    continue
                try:
                    return await self._exchange(kept, method, data, end)
                except Unreachable:
                    if kept.heard or kept.timed_out:
                        raise
                break
            try:
                fresh = await asyncio.wait_for(_open(self._url), end - loop.time())
            except TimeoutError:
                raise Unreachable(
                    f"No connection to {origin} within {self._timeout:g} s. From a VPC, AWS "
                    "is reached through a NAT gateway; DynamoDB and S3 also through a gateway "
                    "endpoint."
                ) from None
            except OSError as error:
                raise Unreachable(f"No connection to {origin}: {error}") from error
            self._open.add(fresh)
            return await self._exchange(fresh, method, data, end)

    async def close(self) -> None:
        for connection in self._open:
            connection.abort()
        if self._open:
            await asyncio.wait([connection.closed for connection in self._open])
        self._open.clear()
        self._idle.clear()

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._open.discard(connection)

    async def _exchange(
        self, connection: Connection, method: str, data: Callable[[], bytes], end: float
    ) -> Reply:
        origin = self._url.origin
        seconds = end - asyncio.get_running_loop().time()
        try:
            request = data()
            try:
                return await connection.ask(method, request, seconds)
            except ValueError as error:
                raise Unreachable(f"{origin} did not answer in HTTP: {error}.") from error
            except (OSError, EOFError) as error:
                if connection.timed_out:
                    raise Unreachable(
                        f"{origin} did not reply within {self._timeout:g} s."
                    ) from None
                raise Unreachable(
                    f"{origin} closed the connection before its reply ended."
                ) from error
        finally:  # for a cancelled request too
            if connection.reusable:
                self._idle.append(connection)
            else:
                self._drop(connection)


async def _open(url: Url) -> Connection:
    if url.scheme == "http":
        return await connect(url, None)
    try:
        return await connect(url, tls.aws_authorities())
    except ssl.SSLCertVerificationError:
        return await connect(url, tls.all_authorities())


async def connect(url: Url, context: ssl.SSLContext | None) -> Connection:
    """A connection to the URL's host. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    # uvloop's has no such option and tries the addresses one after the other.
    ours = isinstance(loop, asyncio.BaseEventLoop)
    options: dict[str, Any] = {"happy_eyeballs_delay": NEXT_ADDRESS} if ours else {}
    _, connection = await loop.create_connection(
        lambda: Connection(loop), url.host, url.port, ssl=context, **options
    )
    return connection
