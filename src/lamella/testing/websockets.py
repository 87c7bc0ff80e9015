"""A WebSocket API of API Gateway on 127.0.0.1, with the application in the test's own process.

The web server, the events and @connections are the local Lambda's; between an event and its
result is what runs on Lambda.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from lamella.front_doors.door import REGION
from lamella.settings import from_arguments
from lamella.testing.context import LambdaContext
from lamella.testing.function import InProcessFunction
from lamella.testing.runner import Runner
from lamella.types import AnyASGIApp
from lamella.websocket import hub

try:
    from lamella.local.endpoints.event_line import EventLine
    from lamella.local.endpoints.server import LocalServer, bound_socket, origin_of
    from lamella.local.endpoints.websockets.api import (
        LOCAL,
        WebSocketApi,
        credentials_of,
        path_header,
    )
    from lamella.local.endpoints.websockets.gateway import CLOSING_GRACE, WebSocketGateway
except ImportError as error:
    raise ImportError(
        f"The WebSocket server of lamella.testing needs {error.name}: pip install lamella[local]."
    ) from error

if TYPE_CHECKING:
    from typing import Self, Unpack

    from lamella.settings import SettingArguments

logger = logging.getLogger("lamella.testing")


def _warn(event: EventLine) -> None:
    if event.because:
        logger.warning("%s", event)


class _Running(NamedTuple):
    """A server that serves: the addresses, and what ends it."""

    url: str
    base_url: str
    stack: contextlib.AsyncExitStack


class WebSocketServer:
    """Serves the application behind a WebSocket API while it is entered.

    With `async with` the application runs on the test's own asyncio loop, with `with` on one in a
    thread. `app` is the application, or its name as in `ASGI_APP`; `api` has the stage, the routes
    and the limits; `context` is the model of each invocation's context. Every other keyword is a
    setting, as for `lamella.Adapter`; `websocket_store` is `memory:` where none is given.

    Lifespan startup runs on entering, shutdown on leaving. Where there are no credentials in
    `os.environ`, made up ones are there meanwhile, since the application signs what it sends.
    Any number of events are served at a time, as environments on Lambda would. Raises
    `SettingError`; on entering, what keeps an environment from starting (`InitError`).
    """

    def __init__(
        self,
        app: AnyASGIApp | str,
        *,
        api: WebSocketApi | None = None,
        context: LambdaContext | None = None,
        **settings: Unpack[SettingArguments],
    ) -> None:
        path = from_arguments(settings).websocket_path
        header = path_header({"ASGI_WEBSOCKET_PATH": path})
        self._api = replace(api or WebSocketApi(), path_header=header)
        self._app = app
        self._context = context or LambdaContext()
        self._settings = settings
        self._running: _Running | None = None
        self._runner: Runner | None = None

    @property
    def url(self) -> str:
        """Where clients connect, such as ws://127.0.0.1:40001/prod."""
        return self._entered().url

    @property
    def base_url(self) -> str:
        """Where plain HTTP requests go: the function gets them as from an HTTP API."""
        return self._entered().base_url

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            listening = stack.enter_context(bound_socket(0))
            origin = origin_of(listening)
            region = stack.enter_context(_signing())
            function = await stack.enter_async_context(self._function(origin))
            credentials = _OwnCredentials()
            gateway = WebSocketGateway(function, self._api, _warn, credentials, region)
            server = LocalServer(gateway, listening, websockets=True)
            await stack.enter_async_context(_serving(server, gateway, function))
            self._running = _Running(self._api.base_url(origin), origin, stack.pop_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        running, self._running = self._entered(), None
        await running.stack.aclose()

    def __enter__(self) -> Self:
        self._runner = Runner()
        try:
            return self._runner.run(self.__aenter__())
        except BaseException:
            self._runner.close()
            raise

    def __exit__(self, *_: object) -> None:
        assert self._runner is not None
        try:
            self._runner.run(self.__aexit__())
        finally:
            self._runner.close()

    def _entered(self) -> _Running:
        if self._running is None:
            raise RuntimeError("The server has an address while it serves: enter it first.")
        return self._running

    @contextlib.asynccontextmanager
    async def _function(self, origin: str) -> AsyncIterator[InProcessFunction]:
        defaults = {"websocket_store": "memory:", "websocket_endpoint": self._api.endpoint(origin)}
        settings = {**defaults, **self._settings}
        function = InProcessFunction(self._app, self._context, settings, concurrent=True)
        try:
            await function.start()
            yield function
            await function.close()
        finally:
            await hub.close()


@contextlib.asynccontextmanager
async def _serving(
    server: LocalServer, gateway: WebSocketGateway, function: InProcessFunction
) -> AsyncIterator[None]:
    """Serve until the block is left.

    What runs then may still send and close, so it ends before the server does; a run that waits
    for its client goes on until this one is closed.
    """
    serving = asyncio.ensure_future(server.serve())
    try:
        yield
    finally:
        await function.idle(CLOSING_GRACE)
        await gateway.close()
        await function.idle()
        server.stop()
        await serving


class _OwnCredentials(Mapping[str, str]):
    """The secret by key id that this process signs with now: a test may set its own later on."""

    def __getitem__(self, key_id: str) -> str:
        return credentials_of(os.environ)[key_id]

    def __iter__(self) -> Iterator[str]:
        return iter(credentials_of(os.environ))

    def __len__(self) -> int:
        return 1


_made_up: dict[str, str | None] = {}
"""What os.environ had before, for what servers have set."""

_serving_now = 0


@contextlib.contextmanager
def _signing() -> Iterator[str]:
    """The region that this process signs for.

    Where it has none, or no credentials, made up ones are in the environment until the last
    server has ended.
    """
    global _serving_now
    needed = {} if LOCAL.keys() <= os.environ.keys() else dict(LOCAL)
    if not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        needed["AWS_REGION"] = REGION
    _made_up.update({name: os.environ.get(name) for name in needed})
    os.environ.update(needed)
    _serving_now += 1
    try:
        yield os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
    finally:
        _serving_now -= 1
        while _made_up and not _serving_now:
            name, value = _made_up.popitem()
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
