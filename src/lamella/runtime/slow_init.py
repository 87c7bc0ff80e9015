"""An init that takes longer than Lambda gives it: `ASGI_SLOW_INIT`.

On demand Lambda ends an init that takes more than ten seconds, and starts the process again within
the first invocation: what is imported is paid for twice. Asking for an event ends the init phase,
too. So a process that is not ready after nine seconds asks, and goes on with its import while it
holds the event.

    main thread   import ─────────────────────── startup ─▶ release() ─▶ serves the event
    this thread         9 s: GET /next ─▶ event ─ holds it ──────┘
                                             └─ at its deadline: 504, and GET /next again

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html, "Init phase".
Lambda Web Adapter's AWS_LWA_ASYNC_INIT does the same on AWS.

- **A thread**, because the main thread imports, and what it imports may wait for a network in C.
  The thread has an event loop and a connection of its own. It needs the GIL for moments only: one
  second is left for a module that does not give it up.
- **One event.** The main thread never asks while this one does: `release` gives it what this
  thread gets, now or later. Where no event waits, Lambda freezes the import until one comes.
- **Forks.** A child that the application forks has no such thread, and never uses its connection.
- **Signals.** The extension is registered before the first /next, because it cannot be afterwards.
  A SIGTERM that comes during the import ends the process at once, as before.
- **Errors.** After /next Lambda takes no init error. What fails then fails the event that is held,
  and the process ends: see `main._report`.
"""

from __future__ import annotations

import _thread
import asyncio
import json
import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from lamella.errors import InvocationError, LamellaError, RuntimeApiError, described
from lamella.invocation import Invocation, set_current
from lamella.life.supervision import margin_of
from lamella.loops import run_alone
from lamella.runtime import logs
from lamella.runtime.client import NextInvocation, RuntimeClient
from lamella.runtime.extension import register
from lamella.runtime.loop import PostedOutcome
from lamella.runtime.ric import lambda_context
from lamella.service import Service
from lamella.settings import Settings
from lamella.sources.registry import Family, find
from lamella.types import Receive, Scope, Send

logger = logging.getLogger("lamella")


class Holder:
    """Asks for an event `ASGI_SLOW_INIT` seconds after `started`, a time of time.monotonic(),
    unless `release` comes first."""

    def __init__(self, address: str, settings: Settings, started: float) -> None:
        self._address = address
        self._settings = settings
        self._started = started
        self._lock = threading.Lock()
        self._asking = False
        self._released: Future[None] = Future()
        self._held: Future[NextInvocation] = Future()
        self._waiting = _thread.allocate_lock()
        self._waiting.acquire()
        # No thread of `threading`, which knows it: gevent, where the application imports it and
        # lets it patch that module, would break the import itself.
        seconds = started + settings.slow_init - time.monotonic()
        _thread.start_new_thread(self._wait, (max(seconds, 0),))

    def release(self) -> Future[NextInvocation] | None:
        """The main thread can take events: the one that was asked for here, now or later. None
        where this thread has not asked, and will not. Called again, it says the same."""
        with self._lock:
            if not self._released.done():
                self._released.set_result(None)
                self._waiting.release()
            return self._held if self._asking else None

    def _wait(self, seconds: float) -> None:
        self._waiting.acquire(timeout=seconds)
        with self._lock:
            if self._released.done():
                return
            self._asking = True
        logger.warning(
            "The application is not ready %.2g s after its start. Lamella asks for the first event "
            "now and holds it, because Lambda would begin the init again after 10 s. Import less, "
            "or prepare more in the build (lamella compile).",
            time.monotonic() - self._started,
        )
        try:
            if self._settings.lifespan != "off":
                self._extension = register(self._address)
            self._held.set_result(run_alone(self._hold()))
        except BaseException as error:
            if not isinstance(error, RuntimeApiError):
                error = RuntimeApiError(f"Lamella failed to hold an event: {described(error)}")
            self._held.set_exception(error)

    async def _hold(self) -> NextInvocation:
        """The event that the main thread is to serve; those that cannot wait so long get a 504."""
        loop = asyncio.get_running_loop()
        step: asyncio.Future[Any]  # what this waits for

        def fail(error: RuntimeApiError) -> None:
            step.set_exception(error)

        while True:
            step = loop.create_future()
            client = RuntimeClient(self._address, fail)
            client.next(step.set_result)
            invocation: NextInvocation = await step
            left = 0.0
            with suppress(InvocationError):  # of a wrong header, which `_refuse` will meet, too
                left = invocation.deadline_ms / 1000 - time.time()
            left -= margin_of(self._settings, left)
            released = asyncio.wrap_future(self._released)
            await asyncio.wait({released}, timeout=max(left, 0))
            if released.done():
                client.close()
                return invocation
            step = loop.create_future()
            self._refuse(client, invocation)
            client.when_acknowledged(partial(step.set_result, None))
            await step
            client.close()

    def _refuse(self, client: RuntimeClient, invocation: NextInvocation) -> None:
        """Answer in the place of an application that is not there yet."""
        reason = _still_starting(time.monotonic() - self._started)
        outcome = PostedOutcome(client, invocation, bool)
        try:
            event, context = (
                json.loads(invocation.body),
                lambda_context(invocation, invocation.deadline_ms),
            )
            current = Invocation(event, context, invocation.trace_id, invocation.body)
            set_current(current)
            logger.error("An event was refused: %s", reason)
            if find(event).family is Family.HTTP:
                settings = self._settings._replace(interface="asgi3")
                cycle = Service(_absent, settings).open(current, outcome)
                if cycle is not None:
                    cycle.abandon(504, reason)
        except (LamellaError, ValueError, RecursionError) as error:
            outcome.fail(InvocationError(f"The event cannot be read: {described(error)}"))
        if not outcome.complete:
            outcome.fail(InvocationError(reason, "Runtime.SlowInit"))
        logs.flush()


def _still_starting(seconds: float) -> str:
    return f"Gateway Timeout: the application is still starting, {seconds:.0f} s after its start."


async def _absent(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the application where no request comes to it."""
