"""httpx transports that stand for a function and its event source.

On the way in the request becomes an event by the source's rules, on the way out the result (or
the stream) becomes a response by them. In between is what runs on Lambda: the same service,
cycles and sinks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

try:
    import httpx
except ImportError as error:
    raise ImportError(
        "The transports of lamella.testing need httpx: pip install lamella[testing]."
    ) from error

from lamella.errors import InvocationError
from lamella.front_doors import FrontDoor, HttpRequest
from lamella.testing.context import LambdaContext
from lamella.testing.environment import Answer, Delivery, Environment, StreamBroken
from lamella.testing.runner import Runner
from lamella.testing.sources import front_door, host
from lamella.types import AnyASGIApp, Event, Result

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from lamella.settings import SettingArguments


class AsyncLambdaTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`: the application runs on the test's own asyncio loop.

    `app` is the application, or its name as in `ASGI_APP`. `source` is a name such as "url",
    "http-api", "rest" or "alb", or a front door with its options, `RestApi(stage="live")`.
    `context` is the model of each invocation's context, its `timeout` the function's. Every other
    keyword is a setting, as for `lamella.Adapter`; with `invoke_mode="response_stream"` answers
    stream where the source streams.

    Lifespan startup runs with the first request, or on entering the client; shutdown on closing
    it. An error that keeps an environment from starting is raised (`InitError`). A failed
    invocation is the source's own answer, as on AWS, and a log record.
    """

    def __init__(
        self,
        app: AnyASGIApp | str,
        *,
        source: str | FrontDoor = "url",
        context: LambdaContext | None = None,
        **settings: Unpack[SettingArguments],
    ) -> None:
        self._door = front_door(source)
        self._environment = Environment(app, self._door, context or LambdaContext(), settings)

    @property
    def base_url(self) -> str:
        """Where the application's root is, stage included: the client's `base_url`."""
        return self._door.base_url(f"https://{host(self._door)}")

    async def invoke(self, event: Event) -> Result:
        """The result of any event, a queue's for example. Raises `InvocationError`."""
        return _result(await self._environment.invoke(event))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return _response(await self._environment.request(_request(request)), _AsyncBody)

    async def __aenter__(self) -> Self:
        await self._environment.start()
        return self

    async def aclose(self) -> None:
        """Wait for the last invocation's work and run lifespan shutdown."""
        await self._environment.close()


class LambdaTransport(httpx.BaseTransport):
    """For `httpx.Client`: the application runs on a loop in a thread of its own.

    Arguments and behaviour as `AsyncLambdaTransport`'s.
    """

    def __init__(
        self,
        app: AnyASGIApp | str,
        *,
        source: str | FrontDoor = "url",
        context: LambdaContext | None = None,
        **settings: Unpack[SettingArguments],
    ) -> None:
        self._door = front_door(source)
        self._environment = Environment(app, self._door, context or LambdaContext(), settings)
        self._runner: Runner | None = None

    @property
    def base_url(self) -> str:
        """Where the application's root is, stage included: the client's `base_url`."""
        return self._door.base_url(f"https://{host(self._door)}")

    def invoke(self, event: Event) -> Result:
        """The result of any event, a queue's for example. Raises `InvocationError`."""
        return _result(self._loop().run(self._environment.invoke(event)))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        runner = self._loop()
        delivery = runner.run(self._environment.request(_request(request)))
        return _response(delivery, partial(_Body, runner=runner))

    def __enter__(self) -> Self:
        try:
            self._loop().run(self._environment.start())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Wait for the last invocation's work, run lifespan shutdown and end the thread."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            try:
                runner.run(self._environment.close())
            finally:
                runner.close()

    def _loop(self) -> Runner:
        if self._runner is None:
            self._runner = Runner()
        return self._runner


class _AsyncBody(httpx.AsyncByteStream):
    """A streamed body, piece by piece as the application sends it."""

    def __init__(self, first: bytes, answer: Answer) -> None:
        self._first = first
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        try:
            async for piece in self._answer:
                yield piece
        except StreamBroken as error:
            raise httpx.RemoteProtocolError(str(error)) from error

    async def aclose(self) -> None:
        self._answer.leave()


class _Body(httpx.SyncByteStream):
    """The same for callers without a loop."""

    def __init__(self, first: bytes, answer: Answer, runner: Runner) -> None:
        self._first = first
        self._answer = answer
        self._runner = runner

    def __iter__(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        try:
            while (piece := self._runner.run(_next(self._answer))) is not None:
                yield piece
        except StreamBroken as error:
            raise httpx.RemoteProtocolError(str(error)) from error

    def close(self) -> None:
        self._runner.call(self._answer.leave)


async def _next(answer: Answer) -> bytes | None:
    async for piece in answer:
        return piece
    return None


def _request(request: httpx.Request) -> HttpRequest:
    raw_path, _, query = request.url.raw_path.decode("ascii").partition("?")
    raw = request.headers.raw
    headers = [(n.decode("latin-1").lower(), v.decode("utf-8", "replace")) for n, v in raw]
    return HttpRequest(
        method=request.method,
        raw_path=raw_path,
        query=query,
        headers=headers,
        body=request.content,
        scheme=request.url.scheme,
        client_ip="203.0.113.7",
        port=request.url.port or (443 if request.url.scheme == "https" else 80),
    )


def _response(delivery: Delivery, body: Any) -> httpx.Response:
    head, answer = delivery
    headers = [(n.encode("latin-1"), v.encode("latin-1", "replace")) for n, v in head.headers]
    if answer is None:
        return httpx.Response(head.status, headers=headers, content=head.body)
    return httpx.Response(head.status, headers=headers, stream=body(head.body, answer))


def _result(answer: Answer) -> Result:
    import json

    if answer.error is not None:
        raise answer.error
    if answer.payload is None:
        raise InvocationError(
            "The event's source streams: send a request with the client, or leave out "
            'invoke_mode="response_stream".'
        )
    return json.loads(answer.payload)
