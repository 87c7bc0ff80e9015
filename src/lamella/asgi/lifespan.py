"""The lifespan scope: startup once for the environment, shutdown at its end (lifespan 2.0).

STARTING ──startup.complete──▶ RUNNING ──shutdown()──▶ STOPPING ──▶ ENDED
   │  └────startup.failed, or an error in mode "on"───────────────▶ ENDED (LifespanError)
   └───────error or return before startup.complete, mode "auto"──▶ UNSUPPORTED
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any

from lamella.errors import FATAL, ApplicationError, LifespanError, described
from lamella.types import ASGIApp, Message, Scope

logger = logging.getLogger("lamella")

CLEANUP_TIME = 0.02  # seconds that a lifespan which was cut off has for its finally blocks


class State(Enum):
    """Where the lifespan is."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"
    UNSUPPORTED = "not supported by the application"


TRANSITIONS = {
    (State.STARTING, "lifespan.startup.complete"): State.RUNNING,
    (State.STARTING, "lifespan.startup.failed"): State.ENDED,
    (State.STOPPING, "lifespan.shutdown.complete"): State.STOPPING,
    (State.STOPPING, "lifespan.shutdown.failed"): State.STOPPING,
}
"""What the application may say, where, and what follows; STOPPING ends when it returns."""


class Lifespan:
    """Runs an application's lifespan. `mode` is "auto", "on" or "off".

    `scope_state` is the application's state, to be copied into the scope of each request.
    """

    def __init__(self, app: ASGIApp, mode: str) -> None:
        self.scope_state: dict[str, Any] = {}
        self.state = State.UNSUPPORTED if mode == "off" else State.STARTING
        self._app = app
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._failure: str | None = None  # what the application said in ….failed
        self._error: BaseException | None = None  # what it raised

    @property
    def wanted(self) -> bool:
        """Whether startup is still to come (it is not where the mode is "off")."""
        return self.state is State.STARTING

    @property
    def running(self) -> bool:
        """Whether there is something to shut down."""
        return self.state is State.RUNNING

    async def startup(self, timeout: float) -> None:
        """Start the application and wait until it is ready, `timeout` seconds at most.

        Raises `LifespanError` where it says startup.failed, does not end in time, or, in mode
        "on", raises or returns early.
        """
        if self.state is not State.STARTING:
            return
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lamella-lifespan")
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            self._task.cancel()
            raise LifespanError(
                f"Lifespan startup did not complete within {timeout:.3g} s: make it faster, or "
                "set ASGI_LIFESPAN_TIMEOUT (Lambda gives init 10 s; a longer startup runs again "
                "within the first request, under the function's own timeout).",
                "Runtime.LifespanStartupTimeout",
            ) from None
        await self._settle()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Run the application's shutdown, `timeout` seconds at most. A failure is a log record."""
        if self.state is not State.RUNNING or self._task is None:
            return
        self.state = State.STOPPING
        self._events.put_nowait({"type": "lifespan.shutdown"})
        # The application may still have to clean up after shutdown.complete: until it returns.
        await asyncio.wait({self._task}, timeout=timeout)
        if not self._task.done():
            logger.error("Lifespan shutdown was cut off after %g s.", timeout)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLEANUP_TIME)
        elif self._failure is not None:
            logger.error("Lifespan shutdown failed: %s", self._failure)
        self.state = State.ENDED

    async def _settle(self) -> None:
        """After the first change: raise what kept the application from starting."""
        if self.state is State.RUNNING:
            return
        assert self._task is not None
        await asyncio.wait({self._task}, timeout=1.0)  # Starlette raises after startup.failed
        error = self._error
        if self._failure is not None:
            # Starlette's reason is the traceback of its error, which is shown for the cause, too.
            if error is not None and str(self._failure).startswith("Traceback "):
                self._failure = described(error)
            raise LifespanError(f"Lifespan startup failed: {self._failure}") from error
        reason = "the application returned" if error is None else described(error)
        if error is not None and (not isinstance(error, Exception) or isinstance(error, FATAL)):
            raise LifespanError(f"Lifespan startup failed: {reason}") from error
        if self._mode == "on":
            raise LifespanError(
                f"Lifespan startup failed: {reason}. "
                "ASGI_LIFESPAN=on needs an application that supports lifespan; auto serves any."
            ) from error
        self.state = State.UNSUPPORTED
        logger.info("The application does not support lifespan: %s", reason)

    async def _run(self) -> None:
        # "state" is a dictionary of the application's: it fills it here, requests get copies.
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.scope_state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:
            # Kept, not raised: SystemExit in a task would stop the event loop at once.
            self._error = error
            if self.state is State.STOPPING and self._failure is None:
                self._failure = described(error)
            elif self.state is State.RUNNING:
                logger.error("The application's lifespan ended early.", exc_info=error)
        finally:
            if self.state is State.RUNNING:
                self.state = State.ENDED
            self._changed.set()

    async def _receive(self) -> Message:
        try:
            return await self._events.get()
        except asyncio.CancelledError:
            if self.state is not State.RUNNING:
                raise
            # The event loop ends, which cancels every task, and nobody has called shutdown().
            self.state = State.STOPPING
            return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        following = TRANSITIONS.get((self.state, kind))
        if following is None:
            raise ApplicationError(
                f"Unexpected lifespan message {kind!r} while the lifespan is {self.state.value}."
            )
        self.state = following
        if kind.endswith(".failed"):
            self._failure = message.get("message") or "the application gave no reason"
        self._changed.set()
