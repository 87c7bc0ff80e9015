"""What the checks say: one finding each, at one of three levels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Level(Enum):
    """How bad a finding is: only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `details` are for --json, with units in the names."""

    check: str
    level: Level
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {
            "check": self.check,
            "level": self.level.value,
            "message": self.message,
            "details": dict(self.details),
        }


def ok(check: str, message: str, /, **details: Any) -> Finding:
    """A finding that is fine."""
    return Finding(check, Level.OK, message, details)


def warning(check: str, message: str, /, **details: Any) -> Finding:
    """A finding that is worth a look."""
    return Finding(check, Level.WARNING, message, details)


def problem(check: str, message: str, /, **details: Any) -> Finding:
    """A finding that keeps the function from starting, or from being deployed."""
    return Finding(check, Level.PROBLEM, message, details)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level among `findings`."""
    return max((finding.level for finding in findings), key=list(Level).index, default=Level.OK)
