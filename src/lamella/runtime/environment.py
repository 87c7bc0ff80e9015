"""One execution environment from its start to its end: lifespan, slots, SnapStart, shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from lamella.errors import FATAL, InitError, described
from lamella.invocation import set_current
from lamella.runtime import extension, forks, signals
from lamella.runtime.client import NextInvocation
from lamella.runtime.loop import InFlight, Slot, exit_error
from lamella.runtime.slow_init import Holder
from lamella.runtime.watchdog import Watchdog
from lamella.service import Service

logger = logging.getLogger("lamella")

SHUTDOWN_TIME = 0.3
"""Seconds between SIGTERM and SIGKILL that are safe to use (lambda-runtime-environment,
"Shutdown phase": 500 ms with internal extensions, 300 with external ones). UNVERIFIED
(verified.md#time-after-sigterm)."""

LAST_STEPS = 0.02
"""Seconds of `SHUTDOWN_TIME` that the interpreter needs to end."""


INIT_TIME = 9.8
"""Seconds of Lambda's 10 for an on-demand init that may be used, to report before it ends.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""

STARTED = time.monotonic()
"""When the process has started, nearly: this module is one of the first that it imports."""

LONG_INIT = 120.0  # seconds, of at least 130 that the other initialization types have


class Environment:
    """Serves invocations with `service`, `slots` at a time, from startup to shutdown.

    `registers`: whether to ask Lambda for SIGTERM; of several worker processes only their
    parent does. `ready` is called before the first invocation is asked for.
    """

    def __init__(
        self,
        service: Service,
        environ: Mapping[str, str],
        slots: int = 1,
        registers: bool = True,
        ready: Callable[[], object] = bool,
        holder: Holder | None = None,
    ) -> None:
        self._service = service
        self._environ = environ
        self._address = environ.get("AWS_LAMBDA_RUNTIME_API", "")
        self._slots = slots
        self._registers = registers
        self._ready = ready
        self._holder = holder
        self._held: Future[NextInvocation] | None = None
        self._in_flight: InFlight = {}
        self._extension: socket.socket | None = None
        self._ending = asyncio.Event()
        self._error: BaseException | None = None

    @property
    def is_snapshotted(self) -> bool:
        """Whether SnapStart takes a snapshot before the first invocation."""
        return self._environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"

    async def start(self) -> None:
        """Everything before the first /next, or before the snapshot. Raises `InitError`."""
        lifespan = self._service.lifespan
        if not self._starts_after_restore():
            seconds = self._service.settings.lifespan_timeout
            if seconds is None:
                # Where an event can be held, startup may take longer than Lambda's init.
                seconds = LONG_INIT if self._holder else max(self._left_of_init(), 1.0)
            await lifespan.startup(seconds)
        if self._error is not None:
            raise InitError(
                f"The application ended the environment while it started: {described(self._error)}",
                "Runtime.ExitError",
            )
        if self._service.settings.warmup:
            await self._warm_up()
        if self._holder is not None:
            self._held = self._holder.release()
        # Lambda sends SIGTERM to a runtime with an extension only.
        wants_signal = lifespan.running or lifespan.wanted or signals.handled_by_application()
        if self._registers and wants_signal and self._held is None:
            self._extension = extension.register(self._address)
            if self._extension is not None:
                forks.private.add(self._extension)

    async def _warm_up(self) -> None:
        """Serve the events of `ASGI_WARMUP`, in a slot as every event is."""
        from lamella import warmup
        from lamella.runtime.rehearsal import Stage

        service, stage = self._service, Stage(warmup.function_arn())
        slot = Slot("", service, {}, stage.end, connect=stage.connect)
        slot.next()
        try:
            started = not service.lifespan.wanted
            await warmup.run(service.settings, started, self._left_of_init(), stage.serve)
        finally:
            slot.stop(dying=True)
            slot.close()
            set_current(None)
        gc.freeze()  # what the warm-up made is there to stay, as what the import made

    def _left_of_init(self) -> float:
        """Seconds, below zero where none are left."""
        return STARTED + INIT_TIME - time.monotonic() if is_on_demand(self._environ) else LONG_INIT

    async def resume(self, seconds: float) -> None:
        """After a restore: lifespan startup, where it is to run then. Raises `LifespanError`."""
        if self._starts_after_restore():
            await self._service.lifespan.startup(max(seconds, 0.1))

    def _starts_after_restore(self) -> bool:
        return self._service.settings.snapstart_lifespan == "after" and self.is_snapshotted

    def end(self, error: BaseException) -> None:
        """End the environment because of `error`: one of the application's, or of the Runtime
        API. The first one counts."""
        if not self._ending.is_set():
            self._error = error
            self._ending.set()

    async def serve(self) -> BaseException | None:
        """Serve until SIGTERM, or until `end` is called: what it was called with."""
        signals.take(asyncio.get_running_loop(), self._ending.set)
        watchdog = Watchdog(self._in_flight)
        watchdog.start()
        concurrent = "AWS_LAMBDA_MAX_CONCURRENCY" in self._environ
        datadog = None
        if address := self._service.settings.datadog_extension:
            from lamella.runtime.datadog import Extension

            datadog = Extension(address)
        slots = [
            Slot(
                self._address, self._service, self._in_flight, self.end, concurrent, datadog=datadog
            )
            for _ in range(self._slots)
        ]
        self._ready()
        try:
            if self._held is None:
                for slot in slots:
                    slot.next()
            else:  # on demand, with one slot
                self._taking = asyncio.ensure_future(slots[0].take(asyncio.wrap_future(self._held)))
            while not self._ending.is_set():
                try:
                    await self._ending.wait()
                except asyncio.CancelledError:
                    logger.warning("The application cancelled a task of Lamella; the task goes on.")
            await self._shut_down(slots)
        finally:
            watchdog.stop()
            for slot in slots:
                slot.close()
            if self._extension is not None:
                forks.private.discard(self._extension)
                self._extension.close()
        return self._error

    async def _shut_down(self, slots: list[Slot]) -> None:
        """The end: running requests get what time is left, then lifespan shutdown runs.

        Where the application itself has ended the environment, what runs beside fails at once.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + SHUTDOWN_TIME - LAST_STEPS
        lifespan = self._service.lifespan
        for slot in slots:
            slot.stop(dying=self._error is not None)
        if self._error is None and self._in_flight:
            # Half for them, where the application's own shutdown needs the other half.
            share = 0.5 if lifespan.running else 1.0
            tasks = [running.task for running in self._in_flight.values()]
            await asyncio.wait(tasks, timeout=share * (end - loop.time()))
        for running in list(self._in_flight.values()):
            set_current(running.invocation)  # the record carries its id
            logger.error("%s: cut off by the environment's shutdown.", running.cycle.name)
            if self._error is None:
                running.cut_off(503, "Service Unavailable: the environment is shutting down.")
                continue
            if isinstance(self._error, FATAL):
                running.fail(exit_error(self._error))
            running.cut_off(503, "Service Unavailable: the environment has ended.")
        # What was answered has to reach Lambda, too.
        settling = [asyncio.ensure_future(slot.settle()) for slot in slots]
        _, pending = await asyncio.wait(settling, timeout=max(end - loop.time(), 0))
        for task in pending:
            task.cancel()
        await lifespan.shutdown(max(end - loop.time(), 0))


def is_on_demand(environ: Mapping[str, str]) -> bool:
    """Whether Lambda gives init ten seconds, and then an event."""
    kind = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") or "on-demand"
    return kind == "on-demand" and "AWS_LAMBDA_MAX_CONCURRENCY" not in environ


def slots_of(environ: Mapping[str, str]) -> int:
    """How many invocations Lambda sends at a time: more than one only on managed instances."""
    return int(environ.get("AWS_LAMBDA_MAX_CONCURRENCY") or 1)


def processes_of(slots: int, configured: int | None) -> int:
    """How many processes share the slots: unless configured, as many as there are vCPUs."""
    return min(configured or os.cpu_count() or 1, slots)
