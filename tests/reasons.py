"""Why a check failed, for a report outside pytest."""

from __future__ import annotations

import traceback
from pathlib import Path


def reason(error: BaseException) -> str:
    """One line: the error, or the assertion that says nothing itself, and where it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = str(error).partition("\n")[0] or place.line
    return f"{type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"
