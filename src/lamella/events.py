"""A batch of records, answered record by record: what failed comes again, and nothing else.

    @app.post("/events/sqs")
    async def orders(event: dict[str, Any]) -> dict[str, Any]:
        return await each_record(event, charge)

The answer is `batchItemFailures`, which SQS, Kinesis, DynamoDB and Kafka read if the event source
mapping has `FunctionResponseTypes: [ReportBatchItemFailures]`. Without that they take every record
for done. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any

from lamella.sources.services import service_of

logger = logging.getLogger("lamella")

Record = dict[str, Any]

PARTIAL = ("sqs", "kinesis", "dynamodb", "kafka")
"""The sources that read `batchItemFailures`."""


async def each_record(
    event: Any, handle: Callable[[Record], Awaitable[object] | object]
) -> dict[str, Any]:
    """Call `handle`, sync or async, with each record; the answer names those that failed.

    See `Batch` for the order, and for events of other sources.
    """
    batch = Batch(event)
    for record in batch:
        with batch.attempt(record):
            done = handle(record)
            if isawaitable(done):
                await done
    return batch.answer()


class Batch:
    """The same for code that is not async, or that does more with a record than to call a function.

        batch = Batch(event)
        for record in batch:
            with batch.attempt(record):
                charge(record)
        return batch.answer()

    Order is kept: after a failure the rest of its group (FIFO queues), shard or partition is left
    out, and comes again with it. A record that nothing was attempted with comes again, too.
    Where a source reads no `batchItemFailures` (S3, SNS), the error is raised, and the whole event
    comes again. Raises ValueError for an event without records.
    """

    def __init__(self, event: Any) -> None:
        self._source = service_of(event)
        self._records = _records(self._source, event)
        self._left = {id(record): record for record in self._records}
        self._broken: set[str] = set()

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            if self._order(record) not in self._broken:
                yield record

    @contextmanager
    def attempt(self, record: Record) -> Iterator[None]:
        """The record is done if the block ends, and has failed if it raises."""
        try:
            yield
        except Exception:
            if self._source not in PARTIAL:
                raise
            self._broken.add(self._order(record))
            logger.exception(
                "The record %s of %s failed, and comes again.", self._name(record), self._source
            )
        else:
            self._left.pop(id(record), None)

    def answer(self) -> dict[str, Any]:
        """The result of the invocation."""
        left = [record for record in self._records if id(record) in self._left]
        return {"batchItemFailures": [{"itemIdentifier": self._name(each)} for each in left]}

    def _name(self, record: Record) -> Any:
        """What `batchItemFailures` calls a record."""
        if self._source == "sqs":
            return record["messageId"]
        if self._source == "kafka":
            partition = f"{record['topic']}-{record['partition']}"
            return {"partition": partition, "offset": record["offset"]}
        name = "sequenceNumber" if self._source == "kinesis" else "SequenceNumber"
        return record[self._source][name]

    def _order(self, record: Record) -> str:
        """What a record keeps its order with. Records of one shard, in one batch, share it."""
        if self._source == "sqs":
            group: str | None = record.get("attributes", {}).get("MessageGroupId")
            fifo = str(record.get("eventSourceARN")).endswith(".fifo")
            return group if fifo and group is not None else str(id(record))
        return f"{record['topic']}-{record['partition']}" if self._source == "kafka" else ""


def _records(source: str, event: Any) -> list[Record]:
    # EventBridge Pipes hand on the list itself.
    records = event.get("Records") if isinstance(event, dict) else event
    if source == "kafka" and isinstance(event, dict) and records is None:
        records = [record for each in event["records"].values() for record in each]
    if isinstance(records, list) and all(isinstance(record, dict) for record in records):
        return records
    raise ValueError(
        f"An event of the source {source!r} is no batch of records: use the event as a whole."
    )
