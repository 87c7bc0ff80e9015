"""What an event source does after an invocation: nothing more, or an event that comes again.

Three kinds of sources invoke a function,
https://docs.aws.amazon.com/lambda/latest/dg/invocation-retries.html: a caller waits for the result
and gets the error; Lambda's own queue of asynchronous events tries two times more; an event source
mapping reads a queue or a stream, and sends again what failed.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

ATTEMPTS = 3
"""Of an asynchronous event. A mapping goes on as long as its source keeps the record, but here it
stops as early."""

ASYNCHRONOUS = frozenset(
    {"s3", "sns", "eventbridge", "scheduler", "iot", "cloudwatch-logs", "cloudwatch-alarms", "ses"}
    | {"codecommit", "cloudformation", "codepipeline", "config", "lambda-destination"}
)
PARTIAL = frozenset({"sqs", "kinesis", "dynamodb", "kafka"})
"""Whose mappings read `batchItemFailures`."""

MAPPED = PARTIAL | {"mq", "documentdb"}


class Verdict(NamedTuple):
    """The event of the next attempt, None where there is none, and what the source does.

    `lost`: this was the last attempt, and something failed.
    """

    again: Any
    words: str
    lost: bool = False


def verdict(source: str, event: Any, result: bytes, failed: bool, attempt: int) -> Verdict:
    """What `source` does after an attempt of this number, whose invocation had the `result`."""
    if source in MAPPED:
        return _mapped(source, event, result, failed, attempt)
    if source in ASYNCHRONOUS:
        return asynchronous(event, failed, attempt)
    return Verdict(None, "the caller gets the error" if failed else "", failed)


def asynchronous(event: Any, failed: bool, attempt: int) -> Verdict:
    """Lambda's queue: one minute before the second attempt, two before the third,
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html."""
    if not failed:
        return Verdict(None, "")
    words = f"attempt {attempt} of {ATTEMPTS} failed"
    if attempt < ATTEMPTS:
        minutes = "1 minute" if attempt == 1 else f"{attempt} minutes"
        return Verdict(event, f"{words}: Lambda tries again after {minutes}")
    lost = "the event goes to the function's OnFailure destination or dead-letter queue"
    return Verdict(None, f"{words}: {lost}; without one it is lost", lost=True)


def _mapped(source: str, event: Any, result: bytes, failed: bool, attempt: int) -> Verdict:
    """An event source mapping: all of a batch, or what `batchItemFailures` names,
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.
    """
    records = records_of(event)
    try:
        answer = json.loads(result)
    except ValueError:
        answer = None
    named = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if failed:
        failures, words = records, "the invocation failed, so the whole batch failed"
    elif source not in PARTIAL or not named:
        return Verdict(None, f"all {len(records)} records are done")
    else:
        failures, words = _failures(source, records, named)
    if attempt >= ATTEMPTS:
        until = (
            "the queue moves it to its dead-letter queue (maxReceiveCount), or deletes it when "
            "it is too old"
            if source == "sqs"
            else "the mapping gives up (MaximumRetryAttempts, MaximumRecordAgeInSeconds)"
        )
        return Verdict(None, f"{words}. What failed comes again until {until}", lost=True)
    return Verdict(_batch(event, failures), f"{words}. What failed comes again")


def _failures(source: str, records: list[Any], named: Any) -> tuple[list[Any], str]:
    """The records that come again, and why.

    Of a stream these are the first that failed and all that follow it in its shard or partition.
    """
    known = [_key(identifier_of(source, record)) for record in records]
    keys = [
        _key(each.get("itemIdentifier") if isinstance(each, dict) else None)
        for each in (named if isinstance(named, list) else [named])
    ]
    for key in keys:
        if key not in known:
            return records, (
                f"batchItemFailures names {key}, which is no record of the batch, so the whole "
                "batch failed"
            )
    order = [_order_of(source, record) for record in records]
    first = {}
    for index in sorted((known.index(key) for key in keys), reverse=True):
        first[order[index]] = index
    again = [
        record
        for index, record in enumerate(records)
        if index >= first.get(order[index], len(records))
    ]
    return again, f"{len(records) - len(again)} of {len(records)} records are done"


def _key(identifier: Any) -> str:
    return json.dumps(identifier, sort_keys=True)


def _order_of(source: str, record: Any) -> str:
    """What a record keeps its order with: nothing else in a queue, its shard's or partition's
    records in a stream. A batch of Kinesis or DynamoDB is of one shard."""
    if source == "sqs":
        return str(record.get("messageId"))
    return f"{record.get('topic')}-{record.get('partition')}" if source == "kafka" else ""


def identifier_of(source: str, record: Any) -> Any:
    """What `batchItemFailures` calls a record."""
    if source == "sqs":
        return record.get("messageId")
    if source == "kafka":
        return {"partition": _order_of(source, record), "offset": record.get("offset")}
    name = "sequenceNumber" if source == "kinesis" else "SequenceNumber"
    return record.get(source, {}).get(name)


def records_of(event: Any) -> list[Any]:
    """The records of a batch in their order. Kafka's are in a list for each partition, and
    EventBridge Pipes hand on the list itself."""
    if isinstance(event, list):
        return event
    for name in ("Records", "records", "messages", "events"):
        if name in event:
            found = event[name]
            if isinstance(found, dict):
                return [record for each in found.values() for record in each]
            return list(found)
    return [event]


def _batch(event: Any, failures: list[Any]) -> Any:
    """The same event with these records only; a message of SQS knows how often it was received."""
    again = [_received_again(record) for record in failures]
    if isinstance(event, list):
        return again
    if isinstance(event.get("records"), dict):
        partitions: dict[str, list[Any]] = {}
        for record in again:
            partitions.setdefault(_order_of("kafka", record), []).append(record)
        return {**event, "records": partitions}
    return {**event, "Records": again} if "Records" in event else event


def _received_again(record: Any) -> Any:
    attributes = record.get("attributes")
    if not isinstance(attributes, dict) or "ApproximateReceiveCount" not in attributes:
        return record
    count = str(int(attributes["ApproximateReceiveCount"]) + 1)
    return {**record, "attributes": {**attributes, "ApproximateReceiveCount": count}}
