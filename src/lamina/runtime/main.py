"""The process that the bootstrap starts: init, the invocation loop, the end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import MutableMapping
from typing import NoReturn

from lamina import settings as settings_table
from lamina.asgi.http import FATAL
from lamina.errors import InitError, RuntimeApiError, SettingError
from lamina.importer import app_reference, import_app, user_frames
from lamina.runtime import extension, logs, search_path
from lamina.runtime.client import RuntimeClient
from lamina.runtime.loop import Slot
from lamina.service import Service
from lamina.settings import Settings
from lamina.supervision import task_factory

logger = logging.getLogger("lamina")

SHUTDOWN_TIME = 0.3
"""Seconds between SIGTERM and SIGKILL that are safe to use (lambda-runtime-environment,
"Shutdown phase": 500 ms with internal extensions, 300 with external ones)."""


def main(layer: str) -> NoReturn:
    """The process: `layer` is the folder that holds the layer's content (/opt on Lambda)."""
    search_path.install(layer)
    logs.configure(os.environ)
    sys.exit(run())


def run() -> int:
    """Run the environment to its end; the process's exit status."""
    loop = asyncio.new_event_loop()
    try:
        settings = _settings(os.environ)
        loop = _chosen_loop(loop, settings.loop)
        asyncio.set_event_loop(loop)
        app = import_app(app_reference(settings.app, os.environ))
        environment = Environment(Service(app, settings))
        loop.set_task_factory(task_factory)
        loop.run_until_complete(environment.run())
    except InitError as error:
        _report(loop, error)
        return 1
    except RuntimeApiError as error:
        logger.critical("%s The process ends here.", error)
        return 1
    except FATAL as error:
        logger.critical("The process ends here: %r", error)
        return 1
    return 0


class Environment:
    """One execution environment: startup, the loop, shutdown on SIGTERM."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def run(self) -> None:
        """Serve until SIGTERM. Raises `InitError`, `RuntimeApiError`, or the error that ends it."""
        lifespan = self._service.lifespan
        await lifespan.startup()
        registered = await extension.register(_api_address()) if lifespan.running else None
        serving = asyncio.ensure_future(Slot(_api_address(), self._service).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            await lifespan.shutdown(SHUTDOWN_TIME)
        finally:
            if registered is not None:
                registered.close()


def _api_address() -> str:
    return os.environ.get("AWS_LAMBDA_RUNTIME_API", "")


def _settings(environ: MutableMapping[str, str]) -> Settings:
    settings = settings_table.from_environ(environ)
    for warning in settings_table.misspelt(environ):
        logger.warning("%s", warning)
    return settings


def _chosen_loop(default: asyncio.AbstractEventLoop, name: str) -> asyncio.AbstractEventLoop:
    """uvloop's loop where the function carries it (or asks for it), else asyncio's."""
    if name == "asyncio":
        return default
    try:
        import uvloop  # type: ignore[import-not-found]  # the function's, where it has one
    except ImportError:
        if name == "uvloop":
            raise SettingError(
                "ASGI_LOOP='uvloop' needs uvloop, which the function does not carry: "
                "add it to its requirements, or use auto."
            ) from None
        return default
    default.close()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _report(loop: asyncio.AbstractEventLoop, error: InitError) -> None:
    """Post to init/error, and say the same in the log: whoever looks, finds it."""
    frames = user_frames(error.__cause__) if error.__cause__ else []
    logger.critical("%s\n%s", error, "".join(frames))
    report = {
        "errorMessage": str(error),
        "errorType": error.error_type,
        "requestId": "",
        "stackTrace": frames,
    }
    try:
        client = RuntimeClient(_api_address(), logger.critical)
        loop.run_until_complete(client.init_error(report))
    except RuntimeApiError as failure:
        logger.critical("The error could not be reported: %s", failure)
