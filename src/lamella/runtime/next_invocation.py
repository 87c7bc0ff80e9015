"""What /next gives: the event and the headers around it."""

from __future__ import annotations

import time
from typing import NamedTuple

from lamella.errors import RuntimeApiError
from lamella.runtime.http1 import Reply

NO_DEADLINE = 900.0  # seconds; Lambda's longest timeout, where /next tells none


class NextInvocation(NamedTuple):
    """What /next gave: the event's bytes and what came in the headers; "" and absent are None."""

    request_id: str
    deadline_ms: int
    body: bytes
    function_arn: str | None
    trace_id: str | None
    client_context: str | None
    cognito_identity: str | None
    tenant_id: str | None
    invocation_id: str | None


def read(reply: Reply) -> NextInvocation:
    """The invocation in a reply to /next. Raises `RuntimeApiError` where it is none."""
    headers = reply.headers
    request_id = headers.get("lambda-runtime-aws-request-id")
    deadline = headers.get("lambda-runtime-deadline-ms") or str(
        int((time.time() + NO_DEADLINE) * 1000)
    )
    if not request_id or not deadline.isdigit():
        raise RuntimeApiError(
            f"/invocation/next answered with request id {request_id!r} and deadline {deadline!r}, "
            "which no invocation can have."
        )
    return NextInvocation(
        request_id,
        int(deadline),
        reply.body,
        headers.get("lambda-runtime-invoked-function-arn") or None,
        headers.get("lambda-runtime-trace-id") or None,
        headers.get("lambda-runtime-client-context") or None,
        headers.get("lambda-runtime-cognito-identity") or None,
        headers.get("lambda-runtime-aws-tenant-id") or None,
        headers.get("lambda-runtime-invocation-id") or None,
    )
