"""examples/events in the test kit. SAM takes its template: tests/deploy/test_sam.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamella.errors import InvocationError
from lamella.testing import LambdaTransport, events
from lamella.types import Event

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "events"


@pytest.fixture(scope="module")
def function() -> Iterator[LambdaTransport]:
    pytest.importorskip("fastapi")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE))
        settings: Any = {"events_path": "/events/{source}", "events_from_http": "refuse"}
        with LambdaTransport("main:app", **settings) as transport:
            yield transport
        patch.delitem(sys.modules, "main", raising=False)


def test_the_orders_that_fail_come_again(function: LambdaTransport) -> None:
    bodies = ['{"item": "tea", "quantity": 2}', "no order", '{"item": "tea", "quantity": 101}']
    event = events.sqs(bodies=bodies)
    failed = [{"itemIdentifier": record["messageId"]} for record in event["Records"][1:]]
    assert function.invoke(event) == {"batchItemFailures": failed}


def test_the_key_of_an_upload_is_decoded(
    function: LambdaTransport, caplog: pytest.LogCaptureFixture
) -> None:
    assert function.invoke(events.s3(key="a folder/ü.txt")) is None
    assert "new in bucket: a folder/ü.txt" in caplog.text


def test_a_schedule_and_a_source_without_a_route(function: LambdaTransport) -> None:
    assert function.invoke(events.event_bridge()) == {"done": "2026-01-01T00:00:00Z"}
    with pytest.raises(InvocationError, match="answered 404"):
        function.invoke(events.sns())


def test_http_clients_have_no_way_to_the_events(function: LambdaTransport) -> None:
    def answer(event: Event) -> Any:
        return function.invoke(event)["statusCode"]

    assert answer(events.function_url()) == 200
    assert answer(events.function_url(method="POST", path="/events/sqs", json={})) == 404
