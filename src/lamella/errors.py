"""Every error Lamella raises on purpose, and who should catch it.

    LamellaError
    ├── TypedError                 has the type under which Lambda records it
    │   ├── InitError              the environment cannot start; posted to init/error
    │   │   ├── SettingError       a setting has a value that is not allowed
    │   │   ├── AppImportError     ASGI_APP is missing, malformed or does not import
    │   │   └── LifespanError      the application's startup failed, or took too long
    │   └── InvocationError        the invocation fails in Lambda's own terms (retries, metrics)
    │       └── ResponseTooLarge   the answer is over Lambda's limit for a buffered response
    ├── BadEvent                   the event is malformed: a 400 for the client
    ├── ApplicationError           the application broke the ASGI protocol: a 500, a log record
    ├── RuntimeApiError            the Runtime API refused a request, or its connection broke
    ├── WebSocketError             what a WebSocket needs is not there, or refuses
    │   ├── StoreError             the connection store cannot be reached, or refuses
    │   └── ConnectionsError       API Gateway's @connections cannot be reached, or refuses
    └── ClientDisconnected         also an OSError: send() after the client is gone

Messages say what happened, with the value, and what to change.
"""

from __future__ import annotations

FATAL = (SystemExit, KeyboardInterrupt, MemoryError)
"""What ends the environment instead of one request."""


def message_of(error: BaseException) -> str:
    """An error's text, for log records and reports. It never raises, whatever the error does.

    What UTF-8 cannot spell (half a surrogate pair) is spelt as Python would: "\\ud800".
    """
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except BaseException as failure:
        return f"(its text cannot be read: {type(failure).__name__})"


def described(error: BaseException) -> str:
    """An error's type and text: "ValueError: no such item"."""
    return f"{type(error).__name__}: {message_of(error)}"


class LamellaError(Exception):
    """The root: catches everything that Lamella raises on purpose."""


class TypedError(LamellaError):
    """An error that Lambda records under `error_type`.

    It accepts only `Runtime.` or `Function.` followed by letters; everything else becomes
    `Function.Unknown`.
    """

    error_type = "Runtime.Error"

    def __init__(self, message: str, error_type: str | None = None) -> None:
        super().__init__(message)
        if error_type is not None:
            self.error_type = error_type


class InitError(TypedError):
    """The environment cannot start.

    It is posted to `report_path` of the Runtime API, and the process ends with `exit_status`.
    """

    error_type = "Runtime.InitError"
    exit_status = 1
    report_path = "init/error"


class SettingError(InitError):
    """A setting has a value that is not allowed; the message names it and what is."""

    error_type = "Runtime.InvalidSetting"


class AppImportError(InitError):
    """`ASGI_APP` is missing, malformed, or its module does not import."""

    error_type = "Runtime.ImportModuleError"


class LifespanError(InitError):
    """The application's lifespan startup failed, or did not end in time."""

    error_type = "Runtime.LifespanStartupFailed"


class BadEvent(LamellaError):
    """The event is malformed; the client gets `status` (400 unless said otherwise)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ApplicationError(LamellaError):
    """The application broke the ASGI protocol; the message says the state and the message."""


class InvocationError(TypedError):
    """The invocation fails in Lambda's own terms: retries, dead-letter queue, error metric."""

    error_type = "Function.Error"


class ResponseTooLarge(InvocationError):
    """The answer is over what Lambda accepts for a buffered response."""

    error_type = "Function.ResponseSizeTooLarge"


class RuntimeApiError(LamellaError):
    """The Runtime API refused a request, or its connection broke."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WebSocketError(LamellaError):
    """What a WebSocket needs is not there, or refuses; the message says what to change."""


class StoreError(WebSocketError):
    """The connection store cannot be reached, is too slow, or refuses; the message names it."""


class ConnectionsError(WebSocketError):
    """API Gateway's @connections cannot be reached, or refuses: `status`, None without a reply."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ClientDisconnected(LamellaError, OSError):
    """`send()` after the client is gone (ASGI HTTP 2.4: an OSError tells the application)."""
