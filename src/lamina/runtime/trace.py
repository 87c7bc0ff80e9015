"""The X-Ray trace of an invocation, for the X-Ray SDK and for W3C trace context.

Source: the header Lambda-Runtime-Trace-Id,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, and
https://www.w3.org/TR/trace-context/ (traceparent).
"""

from __future__ import annotations

import os

from lamina.types import Headers

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


def traceparent(trace_id: str) -> str | None:
    """W3C's form of an X-Ray trace: `Root=1-5759e988-bd86...;Parent=5399...;Sampled=1`.

    None where the header has no parent, or is not of that form.
    """
    fields = dict(part.strip().partition("=")[::2] for part in trace_id.split(";"))
    version, _, root = fields.get("Root", "").partition("-")
    trace, parent = root.replace("-", ""), fields.get("Parent", "")
    if version != "1" or not (_is_hex(trace, 32) and _is_hex(parent, 16)):
        return None
    return f"00-{trace}-{parent}-{'01' if fields.get('Sampled') == '1' else '00'}"


def add_header(headers: Headers, trace_id: str | None) -> None:
    """Add `traceparent` where the client sent none and Lambda gave a trace."""
    value = traceparent(trace_id) if trace_id else None
    if value is not None and all(name != b"traceparent" for name, _ in headers):
        headers.append((b"traceparent", value.encode()))


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(c in "0123456789abcdef" for c in text)
