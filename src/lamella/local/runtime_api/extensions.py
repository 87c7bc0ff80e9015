"""The Extensions API for internal extensions: those that live in the runtime's own process.

Rules: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html; texts as the
Runtime Interface Emulator sends them. An internal extension may subscribe to INVOKE (on managed
instances to nothing at all), never to SHUTDOWN; having registered one is what gives the process
a SIGTERM before it is killed.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any, TypeVar

from lamella.local.runtime_api.http11 import ApiError, ApiResponse
from lamella.local.runtime_api.invocation import Invocation

MAX_EXTENSIONS = 10

T = TypeVar("T")


class Extension:
    """One registered extension, and the /event/next that it waits in, if it does."""

    def __init__(self, name: str, subscribed: bool) -> None:
        self.name = name
        self.subscribed = subscribed
        self.identifier = str(uuid.uuid4())
        self.waiting: asyncio.Future[ApiResponse] | None = None


class Extensions:
    """All extensions of one environment; `allowed` are the events they may subscribe to."""

    def __init__(self, allowed: frozenset[str] = frozenset({"INVOKE"})) -> None:
        self._allowed = allowed
        self._by_id: dict[str, Extension] = {}
        self.closed = False

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def all_waiting(self) -> bool:
        """Whether each extension has called /event/next and hangs in it."""
        return all(extension.waiting is not None for extension in self._by_id.values())

    def register(self, name: str, body: bytes) -> Extension:
        """Add an extension. Raises ApiError (403) with the reasons of the module's docstring."""
        if not name:
            raise ApiError(403, "Extension.InvalidExtensionName", "Empty extension name")
        events = _events(body)
        for event in events:
            if not self._allowed:
                message = "No events allowed for internal extensions"
                raise ApiError(403, "Extension.InvalidEventType", message)
            if event == "SHUTDOWN":
                reason = "ShutdownEventNotSupportedForInternalExtension"
                raise ApiError(403, "Extension.InvalidEventType", f"SHUTDOWN: {reason}")
            if event not in self._allowed:
                raise ApiError(403, "Extension.InvalidEventType", f"{event}: ErrorInvalidEventType")
        if self.closed:
            message = "Extension registration closed already"
            raise ApiError(403, "Extension.RegistrationClosed", message)
        if any(extension.name == name for extension in self._by_id.values()):
            message = "Extension with this name already registered"
            raise ApiError(403, "Extension.InvalidExtensionState", message)
        if len(self) >= MAX_EXTENSIONS:
            message = f"Extension limit ({MAX_EXTENSIONS}) reached"
            raise ApiError(403, "Extension.TooManyExtensions", message)
        extension = Extension(name, "INVOKE" in events)
        self._by_id[extension.identifier] = extension
        return extension

    def identify(self, identifier: str) -> Extension:
        """The extension behind a Lambda-Extension-Identifier. Raises ApiError (403)."""
        if not identifier:
            message = "Missing Lambda-Extension-Identifier header"
            raise ApiError(403, "Extension.MissingExtensionIdentifier", message)
        try:
            uuid.UUID(identifier)
        except ValueError:
            message = "Invalid Lambda-Extension-Identifier"
            raise ApiError(403, "Extension.InvalidExtensionIdentifier", message) from None
        if identifier not in self._by_id:
            message = f"Unknown extension {identifier}"
            raise ApiError(403, "Extension.UnknownExtensionIdentifier", message)
        return self._by_id[identifier]

    def announce(self, invocation: Invocation) -> None:
        """Hand the INVOKE event to those that subscribed to it."""
        event: dict[str, Any] = {
            "eventType": "INVOKE",
            "deadlineMs": invocation.deadline_ms,
            "requestId": invocation.request_id,
            "invokedFunctionArn": invocation.arn,
        }
        if invocation.trace_id:
            event["tracing"] = {"type": "X-Amzn-Trace-Id", "value": invocation.trace_id}
        for extension in self._by_id.values():
            if extension.subscribed and extension.waiting is not None:
                identifier = ("Lambda-Extension-Event-Identifier", str(uuid.uuid4()))
                extension.waiting.set_result(ApiResponse.json(200, event, identifier))
                extension.waiting = None


def _events(body: bytes) -> list[str]:
    """The events of a registration; null counts as none, as in the emulator's JSON reader.

    Raises ApiError (403).
    """

    def checked(value: Any, kind: type[T]) -> T | None:
        if value is None or isinstance(value, kind):
            return value
        message = f"{type(value).__name__} where {kind.__name__} belongs: {value!r}"
        raise ApiError(403, "InvalidRequestFormat", message)

    try:
        request = json.loads(body)
    except ValueError as error:
        raise ApiError(403, "InvalidRequestFormat", str(error)) from error
    events = (checked(request, dict) or {}).get("events")
    return [checked(event, str) or "" for event in checked(events, list) or []]
