"""The lines that Lambda itself writes to a function's log.

Format: https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html. Since August 2025 the
init phase of a cold start is billed, so its time is part of the billed duration.
"""

from __future__ import annotations

import math


def start_line(request_id: str) -> str:
    """START, written before the invocation's own lines."""
    return f"START RequestId: {request_id} Version: $LATEST"


def end_line(request_id: str) -> str:
    """END, written when the runtime asked for the next event."""
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str,
    *,
    duration: float,
    memory: int,
    used: int | None,
    init: float | None = None,
    restored: bool = False,
    status: str = "",
    error_type: str = "",
) -> str:
    """REPORT; times in seconds, memory in MB, `init` on a cold start only: the time that init
    took, or the restore if the environment was `restored`.

    `status` is "timeout" or "error" (with an `error_type`), "" for a success.
    """
    duration_ms = duration * 1000
    init_ms = (init or 0.0) * 1000
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(duration_ms + init_ms)} ms",
        f"Memory Size: {memory} MB",
    ]
    if used is not None:
        parts.append(f"Max Memory Used: {used} MB")
    if init is not None:
        parts.append(f"{'Restore' if restored else 'Init'} Duration: {init_ms:.2f} ms")
    if status:
        parts.append(f"Status: {status}")
    if error_type:
        parts.append(f"Error Type: {error_type}")
    return "\t".join(parts) + "\t"


def init_report_line(
    init: float, status: str, error_type: str = "", *, restored: bool = False
) -> str:
    """INIT_REPORT or, if `restored`, RESTORE_REPORT: only when that failed; `init` in seconds."""
    line = f"INIT_REPORT Init Duration: {init * 1000:.2f} ms\tPhase: init\tStatus: {status}"
    if restored:
        line = f"RESTORE_REPORT Restore Duration: {init * 1000:.2f} ms\tStatus: {status}"
    return f"{line}\tError Type: {error_type}" if error_type else line
