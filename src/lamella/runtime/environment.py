"""One execution environment from its start to its end: lifespan, slots, SnapStart, shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping

from lamella.invocation import set_current
from lamella.runtime import extension
from lamella.runtime.connection import Connection
from lamella.runtime.in_flight import InFlight
from lamella.runtime.loop import Slot, exit_error
from lamella.runtime.watchdog import Watchdog
from lamella.service import Service

logger = logging.getLogger("lamella")

SHUTDOWN_TIME = 0.3
"""Seconds between SIGTERM and SIGKILL that are safe to use (lambda-runtime-environment,
"Shutdown phase": 500 ms with internal extensions, 300 with external ones)."""

LAST_STEPS = 0.02
"""Seconds of `SHUTDOWN_TIME` that the interpreter needs to end."""


INIT_TIME = 9.8
"""Seconds of Lambda's 10 for an on-demand init that may be used, to report before it ends.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""

_STARTED = time.monotonic()  # this module is imported when the process has just started

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
    ) -> None:
        self._service = service
        self._environ = environ
        self._address = environ.get("AWS_LAMBDA_RUNTIME_API", "")
        self._slots = slots
        self._registers = registers
        self._ready = ready
        self._in_flight: InFlight = {}
        self._extension: Connection | None = None

    async def start(self) -> None:
        """Everything before the first /next, or before the snapshot. Raises `InitError`."""
        lifespan = self._service.lifespan
        if not self._starts_after_restore():
            await lifespan.startup(self._startup_time())
        if self._registers and (lifespan.running or lifespan.wanted):
            self._extension = await extension.register(self._address)

    async def resume(self, seconds: float) -> None:
        """After a restore: lifespan startup, where it is to run then. Raises `LifespanError`."""
        if self._starts_after_restore():
            await self._service.lifespan.startup(max(seconds, 0.1))

    async def serve(self) -> None:
        """Serve until SIGTERM. Raises `RuntimeApiError`, or the error that ends the environment."""
        watchdog = Watchdog(self._in_flight)
        watchdog.start()
        concurrent = "AWS_LAMBDA_MAX_CONCURRENCY" in self._environ
        slots = [
            Slot(self._address, self._service, self._in_flight, concurrent)
            for _ in range(self._slots)
        ]
        self._ready()
        try:
            await self._serve(slots)
            await self._shut_down(slots)
        finally:
            watchdog.stop()
            for slot in slots:
                slot.close()
            if self._extension is not None:
                self._extension.close()

    async def give_up(self, error: BaseException) -> None:
        """After the application has ended the environment: fail what runs, and shut down."""
        for running in list(self._in_flight.values()):
            running.fail(exit_error(error))
            running.cut_off(503, "Service Unavailable: the environment has ended.")
        await asyncio.sleep(LAST_STEPS)  # for the answers to leave
        await self._service.lifespan.shutdown(SHUTDOWN_TIME)

    def _starts_after_restore(self) -> bool:
        after = self._service.settings.snapstart_lifespan == "after"
        return after and self.is_snapshotted

    @property
    def is_snapshotted(self) -> bool:
        """Whether SnapStart takes a snapshot before the first invocation."""
        return self._environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"

    def _startup_time(self) -> float:
        """Seconds that lifespan startup may take."""
        configured = self._service.settings.lifespan_timeout
        if configured is not None:
            return configured
        if self._environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") != "on-demand":
            return LONG_INIT
        return max(INIT_TIME - (time.monotonic() - _STARTED), 1.0)

    async def _serve(self, slots: list[Slot]) -> None:
        """Serve until SIGTERM. Raises the error with which a slot ends."""
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[None] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _resolve, stop)
        serving = [asyncio.ensure_future(slot.run()) for slot in slots]
        done, pending = await asyncio.wait([stop, *serving], return_when=asyncio.FIRST_COMPLETED)
        for future in pending:
            future.cancel()
        for future in done:
            future.result()

    async def _shut_down(self, slots: list[Slot]) -> None:
        """After SIGTERM: running requests get what time is left, then lifespan shutdown runs."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SHUTDOWN_TIME - LAST_STEPS
        lifespan = self._service.lifespan
        for slot in slots:
            slot.stop()
        if self._in_flight:
            # Half for them, where the application's own shutdown needs the other half.
            share = 0.5 if lifespan.running else 1.0
            await self._finish_requests(share * (end - loop.time()))
            # What was answered has to reach Lambda, too.
            settling = [asyncio.ensure_future(slot.settle()) for slot in slots]
            _, pending = await asyncio.wait(settling, timeout=end - loop.time())
            for task in pending:
                task.cancel()
        await lifespan.shutdown(end - loop.time())

    async def _finish_requests(self, seconds: float) -> None:
        tasks = [running.task for running in self._in_flight.values()]
        await asyncio.wait(tasks, timeout=seconds)
        for running in list(self._in_flight.values()):
            set_current(running.invocation)  # the record carries its id
            logger.error("%s: cut off by the environment's shutdown.", running.cycle.name)
            running.cut_off(503, "Service Unavailable: the environment is shutting down.")
        await asyncio.sleep(0)  # let what was cut off leave


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def slots_of(environ: Mapping[str, str]) -> int:
    """How many invocations Lambda sends at a time: more than one only on managed instances."""
    return int(environ.get("AWS_LAMBDA_MAX_CONCURRENCY") or 1)


def processes_of(slots: int, configured: int | None) -> int:
    """How many processes share the slots: unless configured, as many as there are vCPUs."""
    return min(configured or os.cpu_count() or 1, slots)
