"""The application that this process serves, for code that has no event at hand."""

from __future__ import annotations

from typing import Any, NamedTuple

from lamella.settings import Settings
from lamella.types import ASGIApp


class Served(NamedTuple):
    """An application and its settings; `state` is what its lifespan keeps for every scope."""

    app: ASGIApp
    settings: Settings
    state: dict[str, Any]


_served: Served | None = None


def set_served(served: Served) -> None:
    """Make this the application of the process; with several adapters, the last one counts."""
    global _served
    _served = served


def get_served() -> Served | None:
    """The application of the process, None where Lamella serves none."""
    return _served
