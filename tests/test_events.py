"""lamella.events: batches, record by record."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import lamella
from lamella.events import Batch, each_record
from lamella.local.events.retries import records_of, verdict
from lamella.testing import LambdaContext, events
from lamella.types import Receive, Scope, Send

SOURCES = {
    "sqs": events.sqs(bodies=["0", "1", "2", "3"]),
    "pipes": events.sqs(bodies=["0", "1", "2", "3"])["Records"],
    "kinesis": events.kinesis(data=["0", "1", "2", "3"]),
    "dynamodb": events.dynamodb(items=[{"id": {"N": str(n)}} for n in range(4)]),
    "kafka": events.kafka(values=["0", "1", "2", "3"]),
}


def run(event: Any, *failing: int) -> tuple[list[int], Any]:
    """Which records were handled, and the answer where those at `failing` fail."""
    handled = []
    records = records_of(event)

    async def handle(record: dict[str, Any]) -> None:
        handled.append(records.index(record))
        await asyncio.sleep(0)
        if records.index(record) in failing:
            raise ValueError("no stock")

    return handled, asyncio.run(each_record(event, handle))


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_sends_again_what_failed(name: str) -> None:
    """The local Lambda, which knows the sources by itself, reads the answer."""
    event, source = SOURCES[name], "sqs" if name == "pipes" else name
    handled, answer = run(event, 1)
    queue = source == "sqs"
    assert handled == ([0, 1, 2, 3] if queue else [0, 1]), "a stream stops at a failure"
    again = verdict(source, event, json.dumps(answer).encode(), False, 1).again
    expected = records_of(event)[1:2] if queue else records_of(event)[1:]
    assert len(records_of(again)) == len(expected)
    assert run(event) == ([0, 1, 2, 3], {"batchItemFailures": []})


def test_a_fifo_queue_keeps_the_order_of_each_group() -> None:
    event = events.sqs(
        bodies=["a1", "b1", "a2", "b2", "a3"], queue="q.fifo", groups=["a", "b", "a", "b", "a"]
    )
    handled, answer = run(event, 2)
    assert handled == [0, 1, 2, 3], "a3 has to wait for a2, and b2 has not"
    ids = [event["Records"][at]["messageId"] for at in (2, 4)]
    assert answer == {"batchItemFailures": [{"itemIdentifier": each} for each in ids]}


def test_each_partition_of_kafka_stops_by_itself() -> None:
    event = events.kafka(values=["0", "1"])
    event["records"] |= events.kafka(values=["2", "3"], partition=1)["records"]
    assert run(event, 0)[0] == [0, 2, 3]


def test_what_nothing_was_attempted_with_comes_again() -> None:
    event = events.sqs(bodies=["0", "1", "2"])
    batch = Batch(event)
    for record in batch:
        with batch.attempt(record):
            pass
        break
    failed = [each["itemIdentifier"] for each in batch.answer()["batchItemFailures"]]
    assert failed == [record["messageId"] for record in event["Records"][1:]]


def test_the_log_has_the_error(caplog: pytest.LogCaptureFixture) -> None:
    event = events.sqs(bodies=["0"])
    run(event, 0)
    name = event["Records"][0]["messageId"]
    assert f"The record {name} of sqs failed, and comes again." in caplog.text
    assert "ValueError: no stock" in caplog.text


@pytest.mark.parametrize("event", [events.sns(), events.s3()], ids=["sns", "s3"])
def test_where_no_part_can_come_again_the_error_is_raised(event: Any) -> None:
    with pytest.raises(ValueError, match="no stock"):
        run(event, 0)
    assert run(event) == ([0], {"batchItemFailures": []})


@pytest.mark.parametrize("event", [events.event_bridge(), {}, None, [1], {"Records": "x"}])
def test_an_event_that_is_no_batch(event: Any) -> None:
    with pytest.raises(ValueError, match="is no batch of records: use the event as a whole"):
        Batch(event)


def test_a_cancelled_record_is_no_failed_one() -> None:
    async def handle(_record: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(each_record(events.sqs(), handle))


def test_a_function_that_is_not_async_behind_the_adapter() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        event = json.loads((await receive())["body"])
        answer = await each_record(event, lambda record: seen.append(record["body"]))
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    handler = lamella.Adapter(app, lifespan="off")
    assert handler(SOURCES["sqs"], LambdaContext()) == {"batchItemFailures": []}
    handler.close()
    assert seen == ["0", "1", "2", "3"]
