"""Which events only keep an environment warm."""

from __future__ import annotations

from typing import Any

import pytest

import lamella
from lamella.errors import InvocationError
from lamella.sources.warmers import is_warmer
from lamella.testing import LambdaContext, events
from lamella.types import Receive, Scope, Send

WARMERS: dict[str, Any] = {
    "serverless-plugin-warmup": {"source": "serverless-plugin-warmup"},
    "lambda-warmer": {"warmer": True, "concurrency": 3},
    "lambda-warmer's further ones": {
        "warmer": True,
        "__WARMER_INVOCATION__": 2,
        "__WARMER_CONCURRENCY__": 3,
        "__WARMER_CORRELATIONID__": "1700000000000-0042",
    },
    "warmup": {"warmup": True},
    "rule": events.event_bridge(detail={"warmup": True}),
    "scheduler": events.scheduler(detail='{"warmer": true}'),
}
WORK: dict[str, Any] = {
    "schedule": events.event_bridge(),
    "schedule-with-work": events.event_bridge(detail={"job": "clean", "warmup": "yes"}),
    "scheduler": events.scheduler(),
    "scheduler-text": events.scheduler(detail="warmup"),
    "scheduler-list": events.scheduler(detail="[1]"),
    "not-a-schedule": events.event_bridge(source="shop", detail_type="x", detail={"warmup": True}),
    "a-text": {"warmer": "true"},
    "a-number": {"warmup": 1},
    "a-reading-of-a-machine": {"warmup": True, "temperature": 61},
    "an-order": {"warmer": True, "concurrency": 3, "order": 5},
    "records": {**events.sqs(), "warmup": True},
    "a-schedule-with-work-of-its-own": events.event_bridge(detail={"warmup": True, "job": "x"}),
    "queue": events.sqs(bodies=['{"warmup": true}']),
    "list": [{"warmup": True}],
    "null": None,
}


@pytest.mark.parametrize("event", WARMERS.values(), ids=WARMERS)
def test_five_forms(event: Any) -> None:
    assert is_warmer(event)


@pytest.mark.parametrize("event", WORK.values(), ids=WORK)
def test_work_is_not_taken_for_one(event: Any) -> None:
    assert not is_warmer(event)


def test_the_application_is_not_asked_unless_it_wants_to_be() -> None:
    asked: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body", "body": b""})

    handler = lamella.Adapter(app, lifespan="off", events_path="")
    assert {handler(event, LambdaContext()) for event in WARMERS.values()} == {"warm"}
    handler.close()
    assert asked == []
    handler = lamella.Adapter(app, lifespan="off", warmers="off")
    with pytest.raises(InvocationError, match="answered 404"):
        handler(WARMERS["warmup"], LambdaContext())
    handler.close()
    assert asked == ["/events"]
