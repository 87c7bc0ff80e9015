"""Events that only keep an environment warm: they are answered without the application.

When such an event is there, the environment is warm already.
"""

from __future__ import annotations

import json
from typing import Any

from lamella.types import Event

ANSWER = "warm"

SCHEDULES = ("aws.events", "aws.scheduler")
"""EventBridge's rules, and EventBridge Scheduler. Most schedules have work to do."""

KEYS = frozenset({"warmer", "warmup", "concurrency", "target", "test"})
"""Of a warmer, beside `__WARMER_INVOCATION__` and others of that prefix, which lambda-warmer sends
to further environments and functions. An event with more has work to do."""


def is_warmer(event: Any) -> bool:
    """Whether the event is a warmer's, in one of five forms.

    `{"source": "serverless-plugin-warmup"}` (that plugin's), `{"warmer": true, "concurrency": 3}`
    (lambda-warmer's), `{"warmup": true}`, and a schedule of either kind whose `detail` is one of
    these.
    """
    if not isinstance(event, dict):
        return False
    if event.get("detail-type") == "Scheduled Event" and event.get("source") in SCHEDULES:
        return _says_so(_detail(event))
    return _says_so(event)


def _says_so(event: Event) -> bool:
    if event.get("source") == "serverless-plugin-warmup":
        return True
    says_so = event.get("warmer") is True or event.get("warmup") is True
    return says_so and all(key in KEYS or key.startswith("__WARMER_") for key in event)


def _detail(event: Event) -> Event:
    """What a schedule was told to say; EventBridge Scheduler has it as JSON in a text."""
    detail = event.get("detail")
    if isinstance(detail, str):
        try:
            detail = json.loads(detail)
        except (ValueError, RecursionError):
            return {}
    return detail if isinstance(detail, dict) else {}
