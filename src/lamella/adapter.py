"""The handler and library ways: an event and a context in, a result out, on AWS's own loop.

awslambdaric calls a function and waits for what it returns, so here nothing streams and the
answer waits for the application, background tasks included.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Coroutine
from math import isfinite
from typing import TYPE_CHECKING, Any

from lamella.errors import AppImportError, InvocationError
from lamella.importer import AppName, import_app
from lamella.invocation import Invocation, set_current
from lamella.life.leftovers import task_factory
from lamella.life.supervision import Alarm, supervise
from lamella.loops import new_loop
from lamella.response.wire import check_size, decode_result
from lamella.served import set_served
from lamella.service import Service
from lamella.settings import STARTUP_TIME, Settings, from_arguments
from lamella.types import AnyASGIApp, ASGIApp, Event, Result

if TYPE_CHECKING:
    from typing import Unpack

    from lamella.settings import SettingArguments

logger = logging.getLogger("lamella")

NO_DEADLINE = 900.0  # seconds; Lambda's longest timeout, for contexts that do not tell theirs

# glibc is to keep freed blocks, as in runtime/loop.py. With 4 MB here, an echo of 4.6 MB would take
# a tenth more memory, since awslambdaric copies it more often [measured].
bytes(3_800_000)


class Adapter:
    """A Lambda handler around an ASGI application: `handler = lamella.Adapter(app)`.

    `app` is the application, or its name as in `ASGI_APP`. Every setting is a keyword argument.
    Lifespan startup runs in the constructor, once for the environment. Raises `InitError`.
    """

    def __init__(self, app: AnyASGIApp | str, **arguments: Unpack[SettingArguments]) -> None:
        settings = from_arguments(arguments)
        if isinstance(app, str):
            app, settings = import_named(AppName(app, "app"), settings)
        self._start(app, settings)

    @classmethod
    def from_settings(cls, app: AnyASGIApp, settings: Settings) -> Adapter:
        """An adapter with settings that are parsed already, for example from the environment."""
        adapter = cls.__new__(cls)
        adapter._start(app, settings)
        return adapter

    def _start(self, app: AnyASGIApp, settings: Settings) -> None:
        # Decorators of a handler read its name (Powertools' Tracer does).
        self.__name__ = self.__qualname__ = "handler"
        # awslambdaric cannot stream, so the setting for the bootstrap way has no say here.
        self._service = Service(app, settings._replace(invoke_mode="buffered"))
        set_served(self._service.served)
        self._lock = threading.Lock()
        # A loop of our own: an asyncio.run() in the user's code unsets the thread's current one.
        self._loop = new_loop(settings.loop)
        self._loop.set_task_factory(task_factory)
        self._alarm = Alarm(self._loop)
        try:
            end = time.monotonic() + STARTUP_TIME
            limit = settings.lifespan_timeout or STARTUP_TIME
            self._run(self._service.lifespan.startup(limit))
            if settings.warmup:
                from lamella import warmup

                left = end - time.monotonic()
                self._run(warmup.run(settings, True, left, self._rehearse))
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
            self._run(self._loop.shutdown_asyncgens())  # which close a WebSocket store
            self._loop.close()

    async def _answer(self, event: Event, context: Any) -> Result:
        outcome = CollectedOutcome()
        service = self._service
        # awslambdaric keeps the trace of the current invocation in this variable.
        invocation = Invocation(event, context, os.environ.get("_X_AMZN_TRACE_ID"))
        set_current(invocation)
        cycle = service.open(invocation, outcome)
        if cycle is not None:
            left = seconds_left(context)
            await supervise(cycle, service.app, service.settings, left, self._alarm)
        return outcome.result()

    async def _rehearse(self, event: Event, request_id: str, seconds: float) -> int:
        """Serve an event of the warm-up: its status, 0 where the invocation failed."""
        from lamella.warmup import Context, has_ended

        # In a task of its own: what it sets in its context is this request's only.
        answering = self._loop.create_task(self._answer(event, Context(request_id, seconds)))
        if not await has_ended(answering, seconds):
            return 0
        try:
            result = answering.result()
        except InvocationError as error:
            logger.error("%s", error)
            return 0
        return int(result["statusCode"])

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run on the adapter's loop, from whatever thread, whether or not a loop runs in it."""
        with self._lock:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                free = True
            else:
                free = False  # no thread runs two loops at once
            if free:
                return self._loop.run_until_complete(coroutine)
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(1) as executor:
                return executor.submit(self._loop.run_until_complete, coroutine).result()


def import_named(name: AppName, settings: Settings) -> tuple[ASGIApp, Settings]:
    """Import the application; the settings are those of what its name says that it speaks.

    Raises `AppImportError`.
    """
    if settings.lazy_imports:
        from lamella.lazy import import_lazily

        import_lazily(settings.lazy_imports_except)
    try:
        app = import_app(name)
    except AppImportError as error:
        cause = error.__cause__
        if cause is None:
            raise
        # awslambdaric reports the traceback of what is raised, not that of its cause.
        raise error.with_traceback(cause.__traceback__) from cause
    return app, settings.speaking(name.interface)


class CollectedOutcome:
    """Keeps the outcome of one event for the caller of the handler."""

    at_once = False

    def __init__(self) -> None:
        self._result: Result = None
        self._error: InvocationError | None = None

    def send(self, result: Result) -> None:
        """Keep the result. Raises `ResponseTooLarge`."""
        check_size(result)
        self._result = decode_result(result)

    def fail(self, error: InvocationError) -> None:
        """Keep the error."""
        self._error = error

    def result(self) -> Result:
        """The result; raises the error where the invocation is to fail."""
        if self._error is not None:
            raise self._error
        return self._result


def seconds_left(context: Any) -> float:
    """The time that a context object tells; NO_DEADLINE where it tells none, as mocks may not."""
    try:
        left = context.get_remaining_time_in_millis()
    except Exception:  # whatever a mock raises: no such method, or none yet
        return NO_DEADLINE
    return left / 1000 if type(left) in (int, float) and isfinite(left) else NO_DEADLINE
