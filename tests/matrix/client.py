"""What a check talks to: an HTTP client, and one whose requests reach a function as events."""

from __future__ import annotations

import abc
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx

from lamella.front_doors import (
    FrontDoor,
    FunctionUrl,
    HttpApi,
    HttpRequest,
    LoadBalancer,
    RestApi,
)
from lamella.front_doors.answer import InvokeResult
from lamella.front_doors.prelude import read_prelude
from lamella.local.execution.environment import Environment
from tests.waiting import until

DOMAIN = "app.example.com"
"""What clients type: an alias of a load balancer, a custom domain elsewhere."""


class Source(NamedTuple):
    """An event source: `buffered` and `streaming` are its two front doors, often the same."""

    name: str
    buffered: FrontDoor
    streaming: FrontDoor
    stage: str = ""  # what its URLs begin with


SOURCES = (
    Source("rest", RestApi(), RestApi(streaming=True), stage="/prod"),
    Source("http", HttpApi(), HttpApi()),
    Source("url", FunctionUrl(streaming=False), FunctionUrl()),
    Source("alb", LoadBalancer(), LoadBalancer()),
)

NAMED_STAGE = Source("http", HttpApi(stage="dev"), HttpApi(stage="dev"), stage="/dev")
"""An HTTP API leaves a named stage in the path, where a REST API takes it out."""


class Reply(NamedTuple):
    """A response as the client got it.

    `spread` is seconds from the first part of the body to the last. `after` is seconds that the
    function worked on after its answer, 0 where nobody sees that.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    spread: float
    after: float = 0.0

    def header(self, name: str) -> str:
        """The last value of a header, "" where there is none."""
        return ([value for key, value in self.headers if key == name] or [""])[-1]

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Client(abc.ABC):
    """A client of an application. `base` is its root: every path is below it.

    `streamed` says whether answers arrive part by part, `early` whether they are known to leave
    before the application's background tasks end, and `serial` whether these have ended when the
    next request is taken. Over plain HTTP nobody sees the process and its log.
    """

    base: str
    streamed: bool
    early = False
    serial = False

    async def get(self, path: str, **headers: str) -> Reply:
        """GET `path`, which may carry a query; both go out as they are."""
        return await self.request("GET", path, headers=headers)

    @abc.abstractmethod
    async def request(self, method: str, path: str, **content: Any) -> Reply:
        """Any request; `content` is httpx's: headers, json, data, files, content."""

    @property
    @abc.abstractmethod
    def pid(self) -> int | None:
        """The application's process; None where nobody sees it."""

    @abc.abstractmethod
    async def logged(self, text: str) -> None:
        """Wait for `text` in the log, where somebody sees it. Raises AssertionError."""


class FunctionClient(Client):
    """A client of a function behind one event source."""

    serial = True

    def __init__(
        self,
        environment: Environment,
        source: Source,
        *,
        streaming: bool = False,
        early: bool = False,
        base_path: str = "",
    ) -> None:
        self.environment = environment
        self.door = source.streaming if streaming else source.buffered
        self.base = f"https://{DOMAIN}{source.stage}{base_path}"
        self.streamed = streaming and self.door.streaming
        self.early = early

    @property
    def pid(self) -> int | None:
        return self.environment.pid

    async def logged(self, text: str) -> None:
        # On the handler way a thread that writes the log may have to wait for the next event.
        await until(lambda: any(text in line for line in self.environment.logs))

    async def request(self, method: str, path: str, **content: Any) -> Reply:
        request = httpx.Request(method, self.base + path, **content)
        raw_path, _, query = request.url.raw_path.decode().partition("?")
        pairs = [(name.lower(), value) for name, value in request.headers.multi_items()]
        sent = HttpRequest(
            method=method,
            raw_path=raw_path,
            query=query,
            headers=pairs,
            body=request.read(),
            scheme="https",
            client_ip="203.0.113.7",
            port=443,
        )
        return await self._send(sent)

    async def _send(self, sent: HttpRequest) -> Reply:
        result = await self.environment.invoke(self.door.event(sent))
        assert result.error is None, result.error
        assert result.streamed == self.streamed
        if self.streamed:
            parts = _parts(result)
            prelude, body = await read_prelude(parts)
            status, headers, _ = self.door.stream_head(prelude)
            body += b"".join([part async for part in parts])
        else:
            status, headers, body = self.door.response(result.payload, sent)
        spread = result.chunks[-1].at - result.chunks[0].at
        return Reply(status, headers, body, spread, result.finished_at - result.response_at)


async def _parts(result: InvokeResult) -> AsyncIterator[bytes]:
    for piece in result.chunks:
        yield piece.data
