"""A Lambda context for tests: what a handler, or `scope["aws.context"]`, gets on AWS."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

ACCOUNT = "123456789012"
"""AWS's own documentation number."""


def new_trace_id() -> str:
    """An X-Ray trace header as Lambda gives one to each invocation, not sampled."""
    root, parent = secrets.token_hex(12), secrets.token_hex(8)
    return f"Root=1-{int(time.time()):08x}-{root};Parent={parent};Sampled=0"


@dataclass(frozen=True, kw_only=True)
class LambdaContext:
    """The context of one invocation. `timeout` is the function's, in seconds from now on.

    Attributes as in https://docs.aws.amazon.com/lambda/latest/dg/python-context.html; the memory
    limit is a text, as in AWS's runtime.
    """

    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    timeout: float = 30.0
    function_name: str = "local"
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "512"
    log_group_name: str = "/aws/lambda/local"
    log_stream_name: str = "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"
    tenant_id: str | None = None
    client_context: Any = None
    identity: Any = field(
        default_factory=lambda: SimpleNamespace(
            cognito_identity_id=None, cognito_identity_pool_id=None
        )
    )
    _started: float = field(default_factory=time.monotonic, repr=False)

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN, in us-east-1."""
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds to the deadline, 0 after it."""
        left = self._started + self.timeout - time.monotonic()
        return max(0, int(left * 1000))

    def log(self, message: str) -> None:
        """Write to standard output, as AWS's runtime does."""
        import sys

        sys.stdout.write(str(message))

    def renewed(self) -> LambdaContext:
        """The same for another invocation: a request id and a deadline of its own."""
        return replace(self, aws_request_id=str(uuid.uuid4()), _started=time.monotonic())
