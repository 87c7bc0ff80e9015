"""What the Runtime API answers: a status, headers and a JSON body.

The texts are those of AWS's Runtime Interface Emulator, read off its wire.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

JSON = ("Content-Type", "application/json")


class Reply(NamedTuple):
    """A complete HTTP response of the Runtime API."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (JSON,)


class Refused(Exception):
    """A request that the API refuses; carries the `reply` that says why."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.reply = json_reply(status, {"errorMessage": message, "errorType": error_type})


def json_reply(status: int, value: Any, *headers: tuple[str, str]) -> Reply:
    """`value` as JSON with a newline behind it, as the real API writes it."""
    body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    return Reply(status, body, (JSON, *headers))


def accepted() -> Reply:
    """202, the answer to everything that a runtime reports in time and in order."""
    return json_reply(202, {"status": "OK"})
