"""One invocation: what the runtime is handed, and what else than an event it may carry."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

from lamella.front_doors.answer import Answer
from lamella.local.config import FunctionConfig


@dataclass
class Invocation:
    """What /next hands out; optional texts are "" where absent. `deadline_ms` is epoch ms."""

    event: bytes
    deadline_ms: int
    arn: str
    answer: Answer
    client_context: str = ""
    cognito_identity: str = ""
    tenant_id: str = ""
    trace_id: str = ""
    invocation_id: str = ""

    @property
    def request_id(self) -> str:
        """The id that /response and /error name."""
        return self.answer.request_id

    def headers(self, empty: bool = False) -> tuple[tuple[str, str], ...]:
        """The headers of /next. On demand Lambda leaves the empty ones out; managed instances
        may send them (`empty`), https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
        """
        named = (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", self.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(self.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", self.arn),
            ("Lambda-Runtime-Trace-Id", self.trace_id),
            ("Lambda-Runtime-Client-Context", self.client_context),
            ("Lambda-Runtime-Cognito-Identity", self.cognito_identity),
            ("Lambda-Runtime-Aws-Tenant-Id", self.tenant_id),
            ("Lambda-Runtime-Invocation-Id", self.invocation_id),
        )
        return tuple(pair for pair in named if pair[1] or empty)


class InvokeOptions(NamedTuple):
    """What else an invocation may carry: `timeout` (seconds) replaces the function's, and
    `request_id` a new one; the others become headers of /next, the two contexts as JSON."""

    timeout: float | None = None
    client_context: dict[str, Any] | None = None
    cognito_identity: dict[str, Any] | None = None
    tenant_id: str = ""
    trace_id: str = ""
    request_id: str = ""


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
