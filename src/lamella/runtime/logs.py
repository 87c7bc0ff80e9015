"""Log records as Lambda wants them: text or JSON, framed where Lambda gives a descriptor.

The formats are awslambdaric's, so that records look the same under either runtime; JSON records
have more where awslambdaric's lose something.
Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html;
the frame is described in awslambdaric (FramedTelemetryLogSink).
"""

from __future__ import annotations

import json
import logging
import math
import os
import select
import sys
import time
import traceback
from collections.abc import MutableMapping
from typing import Any

from lamella import records
from lamella.errors import message_of
from lamella.invocation import current_request_id, current_tenant_id

FD_VARIABLE = "_LAMBDA_TELEMETRY_LOG_FD"
TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"

JSON, TEXT = 0xA55A0002, 0xA55A0003
"""The first four bytes of a frame for a record without a level: `frame_type` adds that."""

_turns: int | None = None
"""A file whose lock says which worker process writes; None where there is one process."""


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
        int(descriptor) if descriptor.isdigit() else None, bool(level) or as_json
    )
    formatter = JsonFormatter() if as_json else logging.Formatter(TEXT_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    records.install()
    if level:
        names = {"TRACE": "DEBUG", "FATAL": "CRITICAL", "WARN": "WARNING"}
        name = names.get(level, level)
        root.setLevel(name if name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL") else "INFO")


def share() -> None:
    """From now on processes that are forked of this one write their records one at a time.

    A pipe takes 4 KiB in one piece (PIPE_BUF); of more, two processes' lines would mix.
    """
    global _turns
    if sys.platform == "linux":
        _turns = os.memfd_create("lamella-log")


def flush() -> None:
    """Write out what was printed without a line break: it belongs to the request that ends now."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105  suppress() costs several times the flush, with every invocation
            stream.flush()
        except BaseException:  # the application may have closed it, or put anything in its place
            pass


class LambdaLogHandler(logging.Handler):
    """Adds request and tenant id to each record, and writes it as one.

    To the telemetry descriptor, in frames, or where that is None to stdout.
    """

    def __init__(self, descriptor: int | None, with_level: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._with_level = with_level

    def emit(self, record: logging.LogRecord) -> None:
        """Format and write; where the text cannot be written, that is logging's own affair."""
        record.aws_request_id = current_request_id()
        record.tenant_id = current_tenant_id()
        try:
            text = self.format(record)
        except BaseException as failure:  # what is logged is the application's, and may raise
            text = records.plain_text(record, failure)
        try:
            if self._descriptor is None:
                flush()  # what was printed before it comes first
                text = text if text.endswith("\n") else text + "\n"
                assert sys.__stdout__ is not None  # on Lambda it is open
                _write(sys.__stdout__.fileno(), text.encode("utf-8", "backslashreplace"))
                return
            frame = getattr(record, "_frame_type", None)
            if frame is None:
                frame = frame_type(TEXT, level_of(record) if self._with_level else 0)
            # Half of a surrogate pair has no UTF-8; "\ud800" is what JSON has for it.
            message = text.encode("utf-8", "backslashreplace")
            stamp = time.time_ns() // 1000  # microseconds
            header = frame + len(message).to_bytes(4, "big") + stamp.to_bytes(8, "big")
            _write(self._descriptor, header + message)
        except Exception:
            self.handleError(record)


def level_of(record: logging.LogRecord) -> int:
    """A record's level as Lambda knows levels: 0, or 10 (DEBUG) to 50 (CRITICAL) in tens."""
    return min(50, max(0, record.levelno)) // 10 * 10


def frame_type(form: int, level: int) -> bytes:
    """The first four bytes of a frame: its form (`JSON` or `TEXT`), and its level from 0 to 50."""
    return (form + 4 * (level // 10 + 1 if level else 0)).to_bytes(4, "big")


def _write(descriptor: int, data: bytes) -> None:
    """Write all of it, in one piece among the processes that share the log."""
    if _turns is not None:
        import fcntl

        fcntl.lockf(_turns, fcntl.LOCK_EX)  # POSIX's locks are a process's, and end with it
    try:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # somebody has made the pipe one that does not wait
                select.select([], [descriptor], [])
    finally:
        if _turns is not None:
            fcntl.lockf(_turns, fcntl.LOCK_UN)


class JsonFormatter(logging.Formatter):
    """awslambdaric's JSON, without losing a record or a part of an exception.

    `exception` has what text logs have, where that is more than type, message and stack: causes,
    contexts, notes, members of a group.
    """

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        # What every record has is no field of its own; a task's name is one in awslambdaric, too.
        own = {"aws_request_id", "tenant_id", "_frame_type"}
        self._left_out = vars(logging.makeLogRecord({})).keys() - {"taskName"} | own

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        level = level_of(record)
        record._frame_type = frame_type(JSON, level)
        is_text = record.args or not isinstance(record.msg, dict)
        fields: dict[Any, Any] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(level),
            "message": record.getMessage() if is_text else record.msg,
            "logger": record.name,
        }
        fields |= self._exception(record)
        fields["requestId"] = getattr(record, "aws_request_id", None)
        fields["tenantId"] = getattr(record, "tenant_id", None)
        more = record.__dict__.items()
        fields |= {k: v for k, v in more if k not in self._left_out and k not in fields}
        fields = {key: value for key, value in fields.items() if value is not None}
        try:
            text = json.dumps(fields, ensure_ascii=False, default=str, allow_nan=False)
        except BaseException:  # keys that are no strings, NaN, circles, a __str__ that raises
            text = json.dumps(_plain(fields), ensure_ascii=False)
        return text + "\n"

    def _exception(self, record: logging.LogRecord) -> dict[str, Any]:
        exc_info = record.exc_info
        if not exc_info or (error := exc_info[1]) is None:
            # A QueueHandler has left only this of an exception.
            return {"exception": record.exc_text or None}
        own = record.name in records.NAMES
        stack = traceback.extract_tb(error.__traceback__)
        shown = None if error.__suppress_context__ else error.__context__
        hidden = error.__cause__ is not None or shown is not None
        more = hidden or hasattr(error, "__notes__") or hasattr(error, "exceptions")
        return {
            "stackTrace": (records.ShortStack(stack) if own else stack).format(),
            "errorType": type(error).__name__,
            "errorMessage": message_of(error),
            "exception": (record.exc_text or self.formatException(exc_info)) if more else None,
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
        }


def _plain(value: Any, around: tuple[int, ...] = ()) -> Any:
    """The value as JSON can have it; what JSON cannot have, or what raises, as text.

    `around` are the ids of what it is in. A circle ends where it comes back to one of them: by a
    limit of depth alone, a tree whose children know their parent would be written a million times.
    """
    try:
        if value is None or _is_json_number(value):
            return value
        if len(around) < 20 and id(value) not in around:
            within = (*around, id(value))
            if isinstance(value, dict):
                return {_text(key): _plain(each, within) for key, each in value.items()}
            if isinstance(value, (list, tuple)):
                return [_plain(each, within) for each in value]
    except BaseException:
        return _text(value)
    return _text(value)


def _is_json_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and value.bit_length() < 1024


def _text(value: Any) -> str:
    try:
        return str(value)
    except BaseException as failure:
        return f"({type(value).__name__}, whose text cannot be read: {type(failure).__name__})"
