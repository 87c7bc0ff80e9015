"""Transports of httpx and httpx2 that stand for a function and its front door.

A client of either library takes them: a request is answered in the classes of its own library.
On the way in the request becomes an event by the source's rules, on the way out the result (or
the stream) becomes a response by them. In between is what runs on Lambda: the same service,
cycles and sinks.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lamella.front_doors import FrontDoor, HttpRequest
from lamella.front_doors.delivery import BrokenOff, Delivered, Rest, deliver
from lamella.front_doors.names import front_door
from lamella.testing.context import LambdaContext
from lamella.testing.function import InProcessFunction
from lamella.testing.runner import Runner
from lamella.types import AnyASGIApp, Event, Result

if TYPE_CHECKING:
    from typing import Self, Unpack

    import httpx
    import httpx2

    from lamella.settings import SettingArguments

    class _Transport(httpx.BaseTransport, httpx2.BaseTransport):
        def handle_request(self, request: Any) -> Any: ...

    class _AsyncTransport(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: Any) -> Any: ...
else:
    # A client looks at no class of its transport, and only one library may be installed.
    _Transport = _AsyncTransport = object

logger = logging.getLogger("lamella.testing")


class _Function:
    """What both transports share: a function and its front door."""

    def __init__(
        self,
        app: AnyASGIApp | str,
        *,
        source: str | FrontDoor = "url",
        context: LambdaContext | None = None,
        **settings: Unpack[SettingArguments],
    ) -> None:
        self._door = source if isinstance(source, FrontDoor) else front_door(source)
        self._function = InProcessFunction(app, context or LambdaContext(), settings)

    @property
    def base_url(self) -> str:
        """Where the application's root is, stage included: the client's `base_url`."""
        return self._door.base_url(f"https://{self._door.host}")


class AsyncLambdaTransport(_Function, _AsyncTransport):
    """For an `AsyncClient` of httpx or httpx2: the application runs on the test's own asyncio loop.

    `app` is the application, or its name as in `ASGI_APP`. `source` is a front door's name, as
    of `lamella run --front-door`, or one with its options, `RestApi(stage="live")`.
    `context` is the model of each invocation's context, its `timeout` the function's. Every other
    keyword is a setting, as for `lamella.Adapter`; with `invoke_mode="response_stream"` answers
    stream where the source streams.

    Lifespan startup runs with the first request, or on entering the client; shutdown on closing
    it. An error that keeps an environment from starting is raised (`InitError`). A failed
    invocation is the source's own answer, as on AWS, and a log record.
    """

    async def invoke(self, event: Event) -> Result:
        """The result of any event, a queue's for example. Raises `InvocationError`."""
        return await self._function.invoke(event)

    async def handle_async_request(self, request: Any) -> Any:
        await request.aread()
        library = _library_of(request)
        delivery = await _delivered(self._door, self._function, request)
        body = _stream(_AsyncBody, library.AsyncByteStream)
        return _response(library, delivery, functools.partial(body, library=library))

    async def __aenter__(self) -> Self:
        await self._function.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for the last invocation's work and run lifespan shutdown."""
        await self._function.close()


class LambdaTransport(_Function, _Transport):
    """For a `Client` of httpx or httpx2: the application runs on a loop in a thread of its own.

    Arguments and behaviour as `AsyncLambdaTransport`'s.
    """

    _runner: Runner | None = None

    def invoke(self, event: Event) -> Result:
        """The result of any event, a queue's for example. Raises `InvocationError`."""
        return self._loop().run(self._function.invoke(event))

    def handle_request(self, request: Any) -> Any:
        request.read()
        library, runner = _library_of(request), self._loop()
        delivery = runner.run(_delivered(self._door, self._function, request))
        body = _stream(_Body, library.SyncByteStream)
        return _response(library, delivery, functools.partial(body, library=library, runner=runner))

    def __enter__(self) -> Self:
        try:
            self._loop().run(self._function.start())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the last invocation's work, run lifespan shutdown and end the thread."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            try:
                runner.run(self._function.close())
            finally:
                runner.close()

    def _loop(self) -> Runner:
        if self._runner is None:
            self._runner = Runner()
        return self._runner


class _AsyncBody:
    """A streamed body, piece by piece as the application sends it."""

    def __init__(self, first: bytes, rest: Rest, library: Any) -> None:
        self._first = first
        self._rest = rest
        self._library = library

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._first:
            yield self._first
        try:
            async for piece in self._rest:
                yield piece
        except BrokenOff as error:
            raise self._library.RemoteProtocolError(str(error)) from error

    async def aclose(self) -> None:
        self._rest.abandon()


class _Body:
    """The same for callers without a loop."""

    def __init__(self, first: bytes, rest: Rest, library: Any, runner: Runner) -> None:
        self._first = first
        self._rest = rest
        self._library = library
        self._runner = runner

    def __iter__(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        pieces = self._rest.__aiter__()

        async def next_piece() -> bytes | None:
            return await anext(pieces, None)

        try:
            while (piece := self._runner.run(next_piece())) is not None:
                yield piece
        except BrokenOff as error:
            raise self._library.RemoteProtocolError(str(error)) from error

    def close(self) -> None:
        self._runner.call(self._rest.abandon)


@functools.cache
def _stream(body: type, base: type) -> type:
    """`body` as what a library's client insists on for a stream."""
    return type(body.__name__, (body, base), {})


def _library_of(request: Any) -> Any:
    """httpx or httpx2. Only those that are imported count: the request's class is in one."""
    imported = filter(None, map(sys.modules.get, ("httpx", "httpx2")))
    return next(library for library in imported if isinstance(request, library.Request))


async def _delivered(door: FrontDoor, function: InProcessFunction, sent: Any) -> Delivered:
    raw_path, _, query = sent.url.raw_path.decode("ascii").partition("?")
    raw = sent.headers.raw
    headers = [(n.decode("latin-1").lower(), v.decode("utf-8", "surrogateescape")) for n, v in raw]
    request = HttpRequest(
        method=sent.method,
        raw_path=raw_path,
        query=query,
        headers=headers,
        body=sent.content,
        scheme=sent.url.scheme,
        client_ip="203.0.113.7",
        port=sent.url.port or (443 if sent.url.scheme == "https" else 80),
    )
    delivered = await deliver(door, function, request, matched=True)
    if delivered.because:
        status, path = delivered.response.status, request.raw_path
        logger.warning(
            "%s: %d for %s %s, because %s",
            *(door.name, status, request.method, path, delivered.because),
        )
    return delivered


def _response(library: Any, delivery: Delivered, body: Callable[[bytes, Rest], Any]) -> Any:
    head, rest = delivery.response, delivery.rest
    headers = [(n.encode("latin-1"), v.encode("latin-1", "replace")) for n, v in head.headers]
    if rest is None:
        return library.Response(head.status, headers=headers, content=head.body)
    return library.Response(head.status, headers=headers, stream=body(head.body, rest))
