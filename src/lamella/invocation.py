"""The invocation that the current task serves, for code that has no request at hand."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, NamedTuple

from lamella.types import Event


class Invocation(NamedTuple):
    """One invocation as the application sees it.

    `event` is the parsed event, `context` the Lambda context object (LambdaContext of
    awslambdaric: `aws_request_id`, `get_remaining_time_in_millis()`, ...), `trace_id` the X-Ray
    trace header where Lambda gave one, and `raw` the event's JSON as Lambda sent it (both on the
    bootstrap way).
    """

    event: Event
    context: Any
    trace_id: str | None = None
    raw: bytes | None = None


_current: ContextVar[Invocation | None] = ContextVar("lamella.invocation")


def current_invocation() -> Invocation:
    """The invocation that this task (or thread, where it was given the context) serves.

    Raises LookupError outside an invocation, for example at import or in lifespan startup.
    """
    invocation = _current.get(None)
    if invocation is None:
        raise LookupError(
            "No invocation is being served here: current_invocation() works while a request runs, "
            "not at import time or in lifespan startup."
        )
    return invocation


_alone: Invocation | None = None
"""The invocation that runs, where only one does at a time: for threads of the application's own,
which have no context of it."""


def set_current(invocation: Invocation | None, alone: bool = False) -> None:
    """Make this the invocation of the current task and of every task it starts; None is no one."""
    global _alone
    _current.set(invocation)
    _alone = invocation if alone else None


def current_request_id() -> str:
    """The request id of the current invocation, or "" outside one (for log records)."""
    invocation = _current.get(_alone)
    return getattr(invocation.context, "aws_request_id", "") or "" if invocation else ""


def current_tenant_id() -> str | None:
    """The tenant id of the current invocation, for functions with tenant isolation."""
    invocation = _current.get(_alone)
    return getattr(invocation.context, "tenant_id", None) if invocation else None
