"""The handler and library ways: an event and a context in, a result out, on AWS's own loop.

awslambdaric calls a function and waits for what it returns, so here nothing streams and the
answer waits for the application, background tasks included.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lamina.errors import InvocationError
from lamina.importer import app_reference, import_app
from lamina.invocation import Invocation, set_current
from lamina.response.wire import PAYLOAD_LIMIT, encode_result
from lamina.service import Service
from lamina.settings import Settings, from_arguments
from lamina.supervision import supervise, task_factory
from lamina.types import ASGIApp, Event, Result

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lamina.settings import SettingArguments

NO_DEADLINE = 900.0  # seconds; Lambda's longest timeout, for contexts that do not tell theirs


class Adapter:
    """A Lambda handler around an ASGI application: `handler = lamina.Adapter(app)`.

    `app` is the application, or its name as in `ASGI_APP`. Every setting is a keyword argument.
    Lifespan startup runs in the constructor, once for the environment. Raises `InitError`.
    """

    def __init__(self, app: ASGIApp | str, **arguments: Unpack[SettingArguments]) -> None:
        self._start(app, from_arguments(arguments))

    @classmethod
    def from_settings(cls, app: ASGIApp | str, settings: Settings) -> Adapter:
        """An adapter with settings that are parsed already, for example from the environment."""
        adapter = cls.__new__(cls)
        adapter._start(app, settings)
        return adapter

    def _start(self, app: ASGIApp | str, settings: Settings) -> None:
        # Decorators of a handler read its name (Powertools' Tracer does).
        self.__name__ = self.__qualname__ = "handler"
        if isinstance(app, str):
            app = import_app(app_reference(app, {}))
        # awslambdaric cannot stream, so the setting for the bootstrap way has no say here.
        self._service = Service(app, settings._replace(invoke_mode="buffered"))
        self._lock = threading.Lock()
        # A loop of our own: an asyncio.run() in the user's code unsets the thread's current one.
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(task_factory)
        try:
            self._run(self._service.lifespan.startup())
        except BaseException:
            self._loop.close()
            raise
        atexit.register(self.close)

    def __call__(self, event: Event, context: Any) -> Result:
        """Answer one event. Raises `InvocationError` where the invocation is to fail."""
        return self._run(self._answer(event, context))

    def close(self) -> None:
        """Run lifespan shutdown and close the loop; the interpreter's exit does this, too."""
        atexit.unregister(self.close)
        if not self._loop.is_closed():
            self._run(self._service.lifespan.shutdown(timeout=2.0))
            self._run(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _answer(self, event: Event, context: Any) -> Result:
        reply = CollectedReply()
        service = self._service
        set_current(Invocation(event, context))
        cycle = service.open(event, context, reply)
        if cycle is not None:
            await supervise(cycle, service.app, service.settings, _seconds_left(context))
        return reply.outcome()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run on the adapter's loop, from whatever thread, whether or not a loop runs in it."""
        with self._lock:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return self._loop.run_until_complete(coroutine)
            return self._run_aside(coroutine)

    def _run_aside(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as executor:
            return executor.submit(self._loop.run_until_complete, coroutine).result()


class CollectedReply:
    """Keeps the outcome of one event for the caller of the handler."""

    def __init__(self) -> None:
        self._result: Result = None
        self._error: InvocationError | None = None

    def send(self, result: Result) -> None:
        """Keep the result. Raises `ResponseTooLarge`."""
        if _may_be_large(result):
            encode_result(result)
        self._result = result

    def fail(self, error: InvocationError) -> None:
        """Keep the error."""
        self._error = error

    def outcome(self) -> Result:
        """The result; raises the error where the invocation is to fail."""
        if self._error is not None:
            raise self._error
        return self._result


def _may_be_large(result: Result) -> bool:
    # JSON writes a character in six bytes at most (\\u0000), so most answers need no second look.
    body = result.get("body") if isinstance(result, dict) else None
    return not isinstance(body, str) or len(body) * 6 > PAYLOAD_LIMIT


def _seconds_left(context: Any) -> float:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 if callable(remaining) else NO_DEADLINE
