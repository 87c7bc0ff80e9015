"""Log records as Lambda wants them: text or JSON, framed where Lambda gives a descriptor.

The formats are awslambdaric's own, so that records look the same under either runtime.
Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html;
the frame is described in awslambdaric (FramedTelemetryLogSink).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from lamella.errors import described
from lamella.invocation import current_request_id, current_tenant_id
from lamella.runtime import ric

FD_VARIABLE = "_LAMBDA_TELEMETRY_LOG_FD"
TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
TEXT_FRAME = 0xA55A0003.to_bytes(4, "big")  # text, level unknown

Write = Callable[[str, bytes], None]
"""Takes a formatted record and its frame type."""


def configure(environ: MutableMapping[str, str]) -> None:
    """Send the root logger's records, and what the process prints, where Lambda reads them.

    Takes the descriptor's variable out of `environ`, as awslambdaric does, so that child
    processes do not write into the frames.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    level = environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    as_json = environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    descriptor = environ.pop(FD_VARIABLE, "")
    handler = LambdaLogHandler(
        _framed(int(descriptor)) if descriptor.isdigit() else _plain, bool(level) or as_json
    )
    handler.setFormatter(_formatter(as_json))
    root = logging.getLogger()
    root.addHandler(handler)
    logging.getLogger("lamella").__class__ = UnfailingLogger
    if level:
        names = {"TRACE": "DEBUG", "FATAL": "CRITICAL", "WARN": "WARNING"}
        name = names.get(level, level)
        root.setLevel(name if name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL") else "INFO")


class UnfailingLogger(logging.Logger):
    """Lamella's logger: its methods never raise, whatever the application has hung into logging.

    A record that a filter, a handler or a record factory fails to take goes to stderr, past
    `logging`, with the reason.
    """

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
        # One frame more: this one is not the caller.
        super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel + 1)

    def makeRecord(self, *args: Any, **options: Any) -> logging.LogRecord:
        """A record; a plain one where the application's factory fails."""
        try:
            return super().makeRecord(*args, **options)
        except BaseException as failure:
            name, level, path, line, message, values, exc_info = args[:7]
            record = logging.LogRecord(name, level, path, line, message, values, exc_info)
            write_past(record, failure)
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
    import traceback

    try:
        text = record.getMessage()
    except BaseException:
        text = str(record.msg)
    text = f"[{record.levelname}]\t{current_request_id()}\t{text}\n"
    text += f"logging could not take this record as it is: {described(failure)}\n"
    for error in (record.exc_info[1] if record.exc_info else None, failure):
        if error is not None:
            try:
                lines = traceback.format_exception(type(error), error, error.__traceback__)
            except BaseException:  # of an error whose own methods raise
                lines = [*traceback.format_tb(error.__traceback__), described(error), "\n"]
            text += "".join(lines)
    return text


class LambdaLogHandler(logging.Handler):
    """Adds request and tenant id to each record, and writes it as one."""

    def __init__(self, write: Write, with_level: bool) -> None:
        super().__init__()
        self._write = write
        self._with_level = with_level

    def emit(self, record: logging.LogRecord) -> None:
        """Format and write; where the text cannot be written, that is logging's own affair."""
        record.aws_request_id = current_request_id()
        record.tenant_id = current_tenant_id()
        try:
            text = self.format(record)
        except BaseException as failure:  # what is logged is the application's, and may raise
            text = plain_text(record, failure)
        try:
            frame = getattr(record, "_frame_type", None)
            if frame is None:
                frame = ric.frame_type(record) if self._with_level else TEXT_FRAME
            self._write(text, frame)
        except Exception:
            self.handleError(record)


def _formatter(as_json: bool) -> logging.Formatter:
    if as_json:
        formatter: logging.Formatter = ric.log_utils().JsonFormatter()
    else:
        formatter = logging.Formatter(TEXT_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter


def _plain(text: str, _frame: bytes) -> None:
    text = text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair has no UTF-8
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _framed(descriptor: int) -> Write:
    def write(text: str, frame: bytes) -> None:
        message = text.encode("utf-8", "replace")
        stamp = time.time_ns() // 1000  # microseconds
        header = frame + len(message).to_bytes(4, "big") + stamp.to_bytes(8, "big")
        os.write(descriptor, header + message)

    return write
