"""What setting up a store came to."""

from __future__ import annotations

from typing import Any, NamedTuple

Policy = list[dict[str, Any]]


class SetupError(Exception):
    """The store cannot be set up; the message says what to change."""


class Done(NamedTuple):
    """What was done or was there already, in sentences, and the IAM statements that the function
    needs."""

    lines: list[str]
    policy: Policy
