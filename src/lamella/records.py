"""Lamella's own log records: written whatever the application does to logging, and readable.

An application hangs filters, handlers and factories into logging, and configures it with
`dictConfig`, which disables every logger that exists already. No record of an error may be lost
by that. And of a traceback a reader wants the application's own lines: runs of frames that belong
to frameworks are one line, `... 14 frames of starlette, fastapi`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from lamella.errors import described
from lamella.invocation import current_request_id

NAMES = ("lamella", "lamella.access")

FRAMEWORKS = (
    *("a2wsgi", "anyio", "asgiref", "asyncio", "awslambdaric", "blacksheep", "channels"),
    *("concurrent", "connexion", "contextlib", "django", "falcon", "fastapi", "fastmcp", "flask"),
    *("importlib", "lamella", "litestar", "mcp", "quart", "responder", "runpy", "sanic"),
    *("starlette", "strawberry", "threading", "werkzeug"),
)
"""Packages between Lambda and an application's own code."""


def install() -> None:
    """Make Lamella's loggers ones that neither fail nor can be disabled by accident."""
    for name in NAMES:
        logging.getLogger(name).__class__ = OwnLogger


class OwnLogger(logging.Logger):
    """Its methods never raise, whatever the application has hung into logging.

    A record that a filter, a handler or a record factory fails to take goes to stderr, past
    `logging`, with the reason. A level silences it, as it does any logger.
    """

    @property
    def disabled(self) -> bool:
        """Never: `dictConfig` and `fileConfig` disable all loggers that they do not name."""
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        pass

    def _log(
        self,
        level: int,
        msg: object,
        args: Any,
        exc_info: Any = None,
        extra: Mapping[str, object] | None = None,
        stack_info: bool = False,
        stacklevel: int = 1,
    ) -> None:
        if isinstance(exc_info, BaseException):  # not as it is: logging would ask for its truth
            exc_info = type(exc_info), exc_info, exc_info.__traceback__
        try:
            # One frame more: this one is not the caller.
            super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel + 1)
        except BaseException as failure:  # there is no record at all: time.time() raises, say
            with contextlib.suppress(BaseException):
                text = f"{str(msg) % args if args else msg}\n{described(failure)}\n"
                os.write(2, text.encode("utf-8", "backslashreplace"))

    def makeRecord(self, *args: Any, **options: Any) -> logging.LogRecord:
        """A record with a short traceback; a plain one where the application's factory fails."""
        try:
            record = super().makeRecord(*args, **options)
        except BaseException as failure:
            name, level, path, line, message, values, exc_info = args[:7]
            record = logging.LogRecord(name, level, path, line, message, values, exc_info)
            write_past(record, failure)
        if record.exc_info and record.exc_info[1] is not None:
            # Formatters write what is here, and make it only where it is not.
            record.exc_text = "".join(traceback_of(record.exc_info[1])).rstrip("\n")
        return record

    def handle(self, record: logging.LogRecord) -> None:
        """Filter and hand on."""
        try:
            super().handle(record)
        except BaseException as failure:
            write_past(record, failure)


def write_past(record: logging.LogRecord, failure: BaseException) -> None:
    """Write a record, and why logging could not take it, straight to stderr."""
    with contextlib.suppress(OSError):  # nobody reads it any more
        os.write(2, plain_text(record, failure).encode("utf-8", "backslashreplace"))


def plain_text(record: logging.LogRecord, failure: BaseException) -> str:
    """A record without its formatter, and why that failed. It never raises."""
    text = "(a message whose text cannot be read)"
    for read in (record.getMessage, lambda: str(record.msg)):
        with contextlib.suppress(BaseException):
            text = read()
            break
    text = f"[{record.levelname}]\t{current_request_id()}\t{text}\n"
    text += f"logging could not take this record as it is: {described(failure)}\n"
    for error in (record.exc_info[1] if record.exc_info else None, failure):
        if error is not None:
            text += "".join(traceback_of(error))
    return text


def traceback_of(error: BaseException) -> list[str]:
    """What Python prints of an error, with its causes, notes and members, and short stacks.

    It never raises.
    """
    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__)
        pending: list[Any] = [whole]
        while pending:
            each = pending.pop()
            each.stack = ShortStack(each.stack)
            members = getattr(each, "exceptions", None) or ()  # of a group, from Python 3.11 on
            pending += (e for e in (each.__cause__, each.__context__, *members) if e is not None)
        return list(whole.format())
    except BaseException:  # of an error whose own methods raise
        return [*traceback.format_tb(error.__traceback__), described(error), "\n"]


class ShortStack(traceback.StackSummary):
    """A stack that is written with one line for each run of frameworks' frames.

    Frames that lead to the application's last own frame count, and Lamella's and the import
    machinery's below it. What libraries do below it stays: there the error is.
    """

    def format(self, **options: Any) -> list[str]:
        """The lines, as `traceback.StackSummary` gives them; `options` are its."""
        packages = _packages([frame.filename for frame in self])
        last = max((at for at, package in enumerate(packages) if package is None), default=-1)
        if last < 0 and packages[-1:] != ["importlib"]:
            return super().format(**options)  # no line of the application's: all may matter

        def is_hidden(at: int) -> bool:
            package = packages[at]
            return bool(package) and (at < last or package in ("lamella", "importlib"))

        lines: list[str] = []
        for hidden, run in groupby(range(len(self)), is_hidden):
            indexes = list(run)
            if hidden:
                names = dict.fromkeys(filter(None, (packages[at] for at in indexes)))
                count = f"{len(indexes)} frame{'s' if len(indexes) > 1 else ''}"
                lines.append(f"  ... {count} of {', '.join(names)}\n")
            else:
                shown = [self[at] for at in indexes]
                lines += traceback.StackSummary.from_list(shown).format(**options)
        return lines


def _packages(files: list[str]) -> list[str | None]:
    """For each file the framework that it belongs to, "" for the standard library, and None for
    the application's own code and its other libraries."""
    folders: list[tuple[str, str]] = [("<frozen importlib", "importlib")]
    for package in FRAMEWORKS:
        module = sys.modules.get(package)
        inside = [folder + os.sep for folder in getattr(module, "__path__", ())]
        folders += ((f, package) for f in inside or [getattr(module, "__file__", "")] if f)
    library = (os.path.dirname(os.__file__) + os.sep, "<frozen")
    return [
        next(
            (package for folder, package in folders if file.startswith(folder)),
            "" if file.startswith(library) and "-packages" not in file else None,
        )
        for file in files
    ]
