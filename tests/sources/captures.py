"""Sample events from outside the repository, for machines that have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "events"

NAMES = sorted(path.name for path in FOLDER.glob("*.json"))


def load(name: str) -> Any:
    """The event in one file; skips the test where the folder is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no sample events beside the repository ({name})")
    return json.loads(path.read_text(encoding="utf-8"))
