"""One execution environment from its start to its end: lifespan, slots, SnapStart, shutdown."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping

from lamina.asgi.http import FATAL
from lamina.errors import LifespanError
from lamina.runtime import extension
from lamina.runtime.connection import Connection
from lamina.runtime.in_flight import InFlight
from lamina.runtime.loop import Slot
from lamina.runtime.watchdog import Watchdog
from lamina.service import Service

logger = logging.getLogger("lamina")

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

RESTORE_TIME = 9.0  # seconds, of 10 that a restore with its hooks may take


class Environment:
    """Serves invocations with `service`, `slots` at a time, from startup to shutdown.

    `registers`: whether to ask Lambda for SIGTERM; of several worker processes only their
    parent does.
    """

    def __init__(
        self, service: Service, environ: Mapping[str, str], slots: int = 1, registers: bool = True
    ) -> None:
        self._service = service
        self._environ = environ
        self._address = environ.get("AWS_LAMBDA_RUNTIME_API", "")
        self._slots = slots
        self._registers = registers
        self._in_flight: InFlight = {}
        self._extension: Connection | None = None

    async def run(self) -> None:
        """Serve until SIGTERM. Raises `InitError`, `RuntimeApiError`, or the error that ends it."""
        await self._start()
        margin = self._service.settings.deadline_margin_ms / 1000
        watchdog = Watchdog(self._in_flight, margin)
        watchdog.start()
        concurrent = "AWS_LAMBDA_MAX_CONCURRENCY" in self._environ
        slots = [
            Slot(self._address, self._service, self._in_flight, concurrent)
            for _ in range(self._slots)
        ]
        try:
            await self._serve(slots)
            await self._shut_down()
        except FATAL:
            await self._service.lifespan.shutdown(SHUTDOWN_TIME)
            raise
        finally:
            watchdog.stop()
            for slot in slots:
                slot.close()
            if self._extension is not None:
                self._extension.close()

    async def _start(self) -> None:
        """Everything before the first /next."""
        lifespan = self._service.lifespan
        snapstart = self._environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
        after = snapstart and self._service.settings.snapstart_lifespan == "after"
        if not after:
            await lifespan.startup(self._startup_time())
        if self._registers and (lifespan.running or (after and lifespan.wanted)):
            self._extension = await extension.register(self._address)
        if snapstart:
            await self._pause(after)

    async def _pause(self, lifespan_after: bool) -> None:
        from lamina.runtime import snapstart

        await snapstart.pause(self._address)
        if lifespan_after:
            try:
                await self._service.lifespan.startup(RESTORE_TIME)
            except LifespanError as error:
                raise snapstart.AfterRestoreError(str(error)) from error.__cause__

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

    async def _shut_down(self) -> None:
        """After SIGTERM: running requests get what time is left, then lifespan shutdown runs."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SHUTDOWN_TIME - LAST_STEPS
        lifespan = self._service.lifespan
        if self._in_flight:
            # Half for them, where the application's own shutdown needs the other half.
            share = 0.5 if lifespan.running else 1.0
            await self._finish_requests(share * (end - loop.time()))
        await lifespan.shutdown(end - loop.time())

    async def _finish_requests(self, seconds: float) -> None:
        tasks = [running.task for running in self._in_flight.values()]
        await asyncio.wait(tasks, timeout=seconds)
        for running in list(self._in_flight.values()):
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
