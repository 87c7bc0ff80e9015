"""What an event source does with what an invocation came to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lamella.local.events.retries import (
    ASYNCHRONOUS,
    ATTEMPTS,
    MAPPED,
    identifier_of,
    records_of,
    verdict,
)
from lamella.local.events.samples import SAMPLES
from lamella.sources.services import service_of
from lamella.testing import events


def failing(source: str, event: Any, *positions: int) -> bytes:
    """The answer that reports the records at these positions."""
    records = records_of(event)
    failures = [{"itemIdentifier": identifier_of(source, records[at])} for at in positions]
    return json.dumps({"batchItemFailures": failures}).encode()


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_is_of_a_source_that_retries_are_known_of(name: str) -> None:
    event = SAMPLES[name]()
    source = service_of(event)
    again, words, lost = verdict(source, event, b"{}", failed=True, attempt=1)
    if source in ASYNCHRONOUS:
        assert (again, lost) == (event, False)
        assert words == "attempt 1 of 3 failed: Lambda tries again after 1 minute"
    elif source in MAPPED:
        assert len(records_of(again)) == len(records_of(event))
        assert not lost
    else:
        assert (again, words, lost) == (None, "the caller gets the error", True)
    assert verdict(source, event, b"{}", failed=False, attempt=1).again is None


def test_of_a_queue_only_what_failed_comes_again_and_knows_so() -> None:
    event = events.sqs(bodies=["a", "b", "c"])
    again, words, _ = verdict("sqs", event, failing("sqs", event, 2, 0), False, 1)
    assert [record["body"] for record in records_of(again)] == ["a", "c"]
    received = [r["attributes"]["ApproximateReceiveCount"] for r in records_of(again)]
    assert received == ["2", "2"]
    assert words == "1 of 3 records are done. What failed comes again"
    assert event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1"


@pytest.mark.parametrize("source", ["kinesis", "dynamodb", "kafka"])
def test_a_stream_goes_on_at_the_first_that_failed(source: str) -> None:
    event = {
        "kinesis": events.kinesis(data=["0", "1", "2", "3"]),
        "dynamodb": events.dynamodb(items=[{"id": {"N": str(n)}} for n in range(4)]),
        "kafka": events.kafka(values=["0", "1", "2", "3"]),
    }[source]
    again = verdict(source, event, failing(source, event, 3, 1), False, 1).again
    assert records_of(again) == records_of(event)[1:]


def test_each_partition_of_kafka_goes_on_by_itself() -> None:
    event = events.kafka(values=["0", "1"])
    event["records"] |= events.kafka(values=["2", "3"], partition=1)["records"]
    again = verdict("kafka", event, failing("kafka", event, 3), False, 1).again
    assert again["records"] == {"topic-1": records_of(event)[3:]}
    assert again["eventSource"] == "aws:kafka"


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "m-9"}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"messageId": "x"}]},
        {"batchItemFailures": ["x"]},
        {"batchItemFailures": "all"},
    ],
)
def test_an_identifier_of_nobody_is_a_failure_of_all(answer: Any) -> None:
    event = events.sqs(bodies=["a", "b"])
    again, words, _ = verdict("sqs", event, json.dumps(answer).encode(), False, 1)
    assert len(records_of(again)) == 2
    assert "which is no record of the batch, so the whole batch failed" in words


@pytest.mark.parametrize("answer", [b"", b"null", b"[]", b"no json", b'{"batchItemFailures": []}'])
def test_whatever_else_a_queue_is_told_is_a_success(answer: bytes) -> None:
    event = events.sqs(bodies=["a"])
    assert verdict("sqs", event, answer, False, 1) == (None, "all 1 records are done", False)


def test_pipes_hand_on_the_list_itself() -> None:
    event = events.sqs(bodies=["a", "b"])["Records"]
    again = verdict("sqs", event, failing("sqs", event, 1), False, 1).again
    assert [record["body"] for record in again] == ["b"]


@pytest.mark.parametrize(
    ("source", "where"), [("sqs", "dead-letter queue"), ("kinesis", "Maximum")]
)
def test_the_last_attempt_says_where_the_records_go(source: str, where: str) -> None:
    again, words, lost = verdict(source, SAMPLES[source](), b"{}", True, ATTEMPTS)
    assert (again, lost) == (None, True)
    assert where in words
