"""An HTTP client whose requests reach a function as one event source would send them."""

from __future__ import annotations

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
    """A response as the client got it, and the invocation behind it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    result: InvokeResult

    def header(self, name: str) -> str:
        """The last value of a header, "" where there is none."""
        return ([value for key, value in self.headers if key == name] or [""])[-1]

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def spread(self) -> float:
        """Seconds from the first part of the body to the last, as they left the function."""
        return self.result.chunks[-1].at - self.result.chunks[0].at


class Client:
    """A client of one source. `base` is its root: every path is below it.

    `streamed` says whether answers leave part by part, `early` whether they leave before the
    application's background tasks end.
    """

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

    async def get(self, path: str, **headers: str) -> Reply:
        """GET `path`, which may carry a query; both go out as they are."""
        return await self.request("GET", path, headers=headers)

    async def request(self, method: str, path: str, **content: Any) -> Reply:
        """Any request; `content` is httpx's: headers, json, data, files, content."""
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
        if not self.streamed:
            response = self.door.response(result.payload, sent)
            return Reply(*response, result)
        parts = _parts(result)
        prelude, body = await read_prelude(parts)
        status, headers, _ = self.door.stream_head(prelude)
        return Reply(status, headers, body + b"".join([part async for part in parts]), result)


async def _parts(result: InvokeResult) -> AsyncIterator[bytes]:
    for piece in result.chunks:
        yield piece.data
