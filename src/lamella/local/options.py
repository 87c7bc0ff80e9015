"""What else an event may carry than its bytes, and the invocation that comes of both."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, NamedTuple

from lamella.local.config import FunctionConfig
from lamella.local.invocation import Answer, Invocation


class InvokeOptions(NamedTuple):
    """What else an invocation may carry: `timeout` (seconds) replaces the function's; the
    others become headers of /next, the two contexts as JSON."""

    timeout: float | None = None
    client_context: dict[str, Any] | None = None
    cognito_identity: dict[str, Any] | None = None
    tenant_id: str = ""
    trace_id: str = ""


def build_invocation(
    config: FunctionConfig,
    event: bytes | dict[str, Any],
    options: InvokeOptions,
    limit: float,
    answer: Answer,
) -> Invocation:
    """An invocation that begins now and has `limit` seconds."""

    def as_json(value: dict[str, Any] | None) -> str:
        return "" if value is None else json.dumps(value)

    return Invocation(
        event=event if isinstance(event, bytes) else json.dumps(event).encode(),
        deadline_ms=int((time.time() + limit) * 1000),
        arn=config.arn,
        answer=answer,
        client_context=as_json(options.client_context),
        cognito_identity=as_json(options.cognito_identity),
        tenant_id=options.tenant_id,
        trace_id=options.trace_id,
        invocation_id=str(uuid.uuid4()) if config.invocation_ids else "",
    )
