"""The parts of awslambdaric that Lamella uses; nothing else imports it.

In the layer they are installed under a private name, so that a function which carries its own
awslambdaric gets its own; from source, and in a container, the package itself serves.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from lamella.errors import InvocationError

try:
    from lamella._awslambdaric.lambda_context import (  # type: ignore[import-not-found]  # in the layer only
        CognitoIdentity,
        LambdaContext,
        make_obj_from_dict,
    )
except ImportError:
    from awslambdaric.lambda_context import (  # type: ignore[import-untyped]
        CognitoIdentity,
        LambdaContext,
        make_obj_from_dict,
    )

if TYPE_CHECKING:
    from lamella.runtime.client import NextInvocation


def lambda_context(invocation: NextInvocation, deadline_ms: int) -> Any:
    """The context object that handlers know, of an invocation's headers.

    Raises `InvocationError` where a header that should hold a JSON object does not.
    """
    client = _from_json("Lambda-Runtime-Client-Context", invocation.client_context)
    cognito = _from_json("Lambda-Runtime-Cognito-Identity", invocation.cognito_identity)
    if client is None and cognito is None:  # as in nearly every invocation
        context = LambdaContext.__new__(LambdaContext)
        context.__dict__.update(
            _template(),
            aws_request_id=invocation.request_id,
            invoked_function_arn=invocation.function_arn,
            tenant_id=invocation.tenant_id,
            identity=make_obj_from_dict(CognitoIdentity, {}),
            _epoch_deadline_time_in_ms=deadline_ms,
        )
        return context
    if client and not isinstance(client.get("client") or {}, dict):
        raise InvocationError(
            f"The header Lambda-Runtime-Client-Context has a 'client' that is not a JSON object: "
            f"{client['client']!r:.50}",
            "Runtime.LambdaContextUnmarshalError",
        )
    return LambdaContext(
        invocation.request_id,
        client,
        cognito,
        deadline_ms,
        invocation.function_arn,
        invocation.tenant_id,
    )


@cache
def _template() -> dict[str, Any]:
    """A context's attributes; it reads five variables, which takes it longer than all else."""
    attributes: dict[str, Any] = vars(LambdaContext("", None, None, 0))
    return attributes


def _from_json(name: str, value: str | None) -> Any:
    if not value:  # absent, or empty as on managed instances
        return None
    try:
        found = json.loads(value)
        if found is not None and not isinstance(found, dict):
            raise ValueError(f"it is {value[:50]!r}")
    except (ValueError, RecursionError) as error:
        raise InvocationError(
            f"The header {name} is not a JSON object: {error}",
            "Runtime.LambdaContextUnmarshalError",
        ) from error
    return found


def snapshot_hooks() -> Any:
    """awslambdaric's runner of SnapStart hooks; None where nobody can have registered one.

    `snapshot_restore_py` is imported by its own name: it has to be the application's module.
    """
    try:
        import snapshot_restore_py  # type: ignore[import-untyped]  # noqa: F401  is it there?
    except ImportError:
        return None
    try:
        from lamella._awslambdaric import (  # type: ignore[import-not-found]  # in the layer only
            lambda_runtime_hooks_runner as runner,
        )
    except ImportError:
        from awslambdaric import (  # type: ignore[import-untyped]
            lambda_runtime_hooks_runner as runner,
        )
    return runner
