"""Events that were not made for these tests: captures, and samples where a machine has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CAPTURES = Path(__file__).parent / "captures"
FOLDER = Path(__file__).parents[2].parent / "shared" / "events"

NAMES = sorted(path.name for path in FOLDER.glob("*.json"))

needed = pytest.mark.skipif(
    not NAMES, reason="the sample events are not beside the repository (../shared/events)"
)


def captured(source: str) -> Any:
    """The event that AWS sent for "alb", "http", "rest" or "url"; they are in the repository."""
    return json.loads((CAPTURES / f"{source}.json").read_text(encoding="utf-8"))


def load(name: str) -> Any:
    """One of the sample events by its file name, one of `NAMES`."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
