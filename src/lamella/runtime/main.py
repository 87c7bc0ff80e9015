"""The process that the bootstrap starts: init, the invocation loop, the end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn, TypeVar

from lamella import records
from lamella import settings as settings_table
from lamella.errors import FATAL, InitError, LifespanError, RuntimeApiError, described
from lamella.importer import collect_again, find_app, import_app
from lamella.life.leftovers import task_factory
from lamella.loops import new_loop
from lamella.runtime import forks, logs, search_path, signals
from lamella.runtime.client import RuntimeClient
from lamella.runtime.ending import exit_status, leave
from lamella.runtime.environment import (
    STARTED,
    Environment,
    is_on_demand,
    processes_of,
    slots_of,
)
from lamella.runtime.slow_init import Holder
from lamella.served import set_served
from lamella.service import Service
from lamella.settings import STARTUP_TIME

logger = logging.getLogger("lamella")

APPLICATION_ENDED = 1
"""Exit status of a process whose application has ended the environment."""

API_LOST = 69
"""Exit status of a process that the Runtime API does not answer any more (EX_UNAVAILABLE)."""


def main(layer: str, thresholds: tuple[int, int, int]) -> NoReturn:
    """The process: `layer` is the folder that holds the layer's content (/opt on Lambda).

    `thresholds` are the garbage collector's, to be put back after the import.
    """
    search_path.install(layer)
    logs.configure(os.environ)
    run(thresholds)


def run(
    thresholds: tuple[int, int, int], words: Iterable[str] = (), one_slot: bool = False
) -> NoReturn:
    """Run the environment to its end, and end the process, whatever is raised.

    `words` may have the function's handler. `one_slot`: other processes, which
    somebody else has started, have the environment's other slots.
    """
    status = 1
    try:
        status = _run(thresholds, words, one_slot)
    except BaseException as error:
        logger.critical("The process ends here: %s", described(error), exc_info=error)
    leave(status)


def _run(thresholds: tuple[int, int, int], words: Iterable[str], one_slot: bool) -> int:
    """The process's exit status."""
    holder = None
    try:
        settings = settings_table.from_environ(os.environ)
        for warning in settings_table.misspelt(os.environ):
            logger.warning("%s", warning)
        if settings.slow_init and is_on_demand(os.environ):
            holder = Holder(os.environ.get("AWS_LAMBDA_RUNTIME_API", ""), settings, STARTED)
        loop = _current_loop(settings.loop)
        name = find_app(settings.app, os.environ, words)
        if settings.lazy_imports:
            from lamella.lazy import import_lazily

            import_lazily(settings.lazy_imports_except)
        service = Service(import_app(name), settings.speaking(name.interface))
        set_served(service.served)
        collect_again(thresholds)
        slots = 1 if one_slot else slots_of(os.environ)
        processes = processes_of(slots, service.settings.processes)
        if processes > 1:
            from lamella.runtime import workers

            if workers.can_fork():
                loop.close()
                return _serve_in_workers(service, workers.shares(slots, processes))
            logger.warning(
                "The application started threads when it was imported, so no workers can be forked "
                "safely: one process serves alone. Start threads in lifespan startup."
            )
        environment = Environment(service, os.environ, slots, registers=not one_slot, holder=holder)
        return _serve(loop, environment)
    except InitError as error:
        return _report(error, holder)


def _serve_in_workers(service: Service, shares: list[int]) -> int:
    """Serve the slots of each of `shares` in a process of its own; the parent's exit status."""
    from lamella.runtime import workers

    def work(slots: int, ready: Callable[[], object]) -> int:
        """What a worker process does; its exit status."""
        loop = _current_loop(service.settings.loop)
        environment = Environment(service, os.environ, slots, registers=False, ready=ready)
        try:
            status = _serve(loop, environment)
        except InitError as error:
            _report(error)
            return workers.IN_VAIN
        return {API_LOST: workers.IN_VAIN, APPLICATION_ENDED: workers.ENDED}.get(status, status)

    wants_signal = service.lifespan.wanted or signals.handled_by_application()
    return workers.Workers(work, shares).run(os.environ, registers=wants_signal)


def _serve(loop: asyncio.AbstractEventLoop, environment: Environment) -> int:
    """Serve in this process; its exit status. Raises `InitError`."""
    loop.set_task_factory(task_factory)
    forks.protect(loop)
    _drive(loop, environment, environment.start())
    if environment.is_snapshotted:
        from lamella.runtime import snapstart

        snapstart.before()
        address = os.environ.get("AWS_LAMBDA_RUNTIME_API", "")
        try:
            _drive(loop, environment, snapstart.wait(address))
        except RuntimeApiError as error:
            return _ended(error)
        restored = time.monotonic()
        snapstart.after()
        left = STARTUP_TIME - (time.monotonic() - restored)
        try:
            _drive(loop, environment, environment.resume(left))
        except LifespanError as error:
            raise snapstart.AfterRestoreError(str(error)) from error.__cause__
    return _ended(_drive(loop, environment, environment.serve()))


T = TypeVar("T")


def _drive(
    loop: asyncio.AbstractEventLoop, environment: Environment, work: Coroutine[Any, Any, T]
) -> T:
    """Run `work` to its end, whatever the application does to the event loop meanwhile.

    SystemExit and KeyboardInterrupt of any task or callback stop an event loop, as does an error
    in its handler of errors. The loop can go on from there: the first two end the environment in
    good order, all else is a log record. Raises what `work` does, and `InitError` where the
    application has cancelled it.
    """
    task = loop.create_task(work)
    while True:
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            if forks.in_child():
                leave(exit_status(error) if isinstance(error, FATAL) else 0)
            if task.cancelled():
                raise InitError(
                    "The application cancelled a task of Lamella. Cancel only tasks of its own."
                ) from error
            if task.done() or loop.is_closed():
                raise
            if isinstance(error, FATAL):
                logger.critical("The application ends the environment.", exc_info=error)
                environment.end(error)
            else:
                logger.error("An error stopped the event loop; the loop goes on.", exc_info=error)


def _ended(error: BaseException | None) -> int:
    """The exit status after the environment's end; None is a signal's."""
    if isinstance(error, RuntimeApiError):
        logger.critical("%s The process ends here.", error)
        return API_LOST
    return signals.call_own() if error is None else APPLICATION_ENDED


def _current_loop(name: str) -> asyncio.AbstractEventLoop:
    """A new loop, set before the application is imported: some code asks for it then."""
    loop = new_loop(name)
    asyncio.set_event_loop(loop)
    return loop


def _report(error: InitError, holder: Holder | None = None) -> int:
    """Post the error, and say the same in the log. Returns the exit status.

    Where an event is held, or has been asked for, the error is that event's, whenever it comes.
    """
    frames = [] if error.__cause__ is None else records.traceback_of(error.__cause__)
    logger.critical("%s\n%s", error, "".join(frames))
    report = {
        "errorMessage": str(error),
        "errorType": error.error_type,
        "requestId": "",
        "stackTrace": frames,
    }
    client = RuntimeClient(os.environ.get("AWS_LAMBDA_RUNTIME_API", ""), logger.critical)
    held = None if holder is None else holder.release()
    try:
        path, invocation_id = error.report_path, None
        if held is not None:
            logs.flush()
            invocation = held.result()
            path, invocation_id = (
                f"invocation/{invocation.request_id}/error",
                invocation.invocation_id,
            )
            report["requestId"] = invocation.request_id
        client.report(path, report, invocation_id)
    except RuntimeApiError as failure:
        logger.critical("The error could not be reported: %s", failure)
    return error.exit_status
