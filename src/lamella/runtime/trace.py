"""The X-Ray trace of an invocation, for the X-Ray SDK.

Source: the header Lambda-Runtime-Trace-Id,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

from __future__ import annotations

import os

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"

_variables: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # see below


def set_variable(trace_id: str | None) -> None:
    """Tell the X-Ray SDK the trace, as awslambdaric does; only where one request runs at a time.

    Only this process's `os.environ` gets it, which is where the SDKs look. Assigning to that
    would call setenv(3), and glibc never frees a value that was set: 135 bytes for each
    invocation [measured].
    """
    if trace_id is not None:
        _variables[TRACE_VARIABLE.encode()] = trace_id.encode("utf-8", "surrogateescape")
    else:
        _variables.pop(TRACE_VARIABLE.encode(), None)
