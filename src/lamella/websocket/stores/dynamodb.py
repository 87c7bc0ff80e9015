"""`dynamodb://table`: one table with the string keys `pk` and `sk`.

    pk               sk           what it is
    c#<connection>   #            the document
    c#<connection>   g#<group>    a membership, found by its connection
    g#<group>        <connection> the same membership, found by its group

DynamoDB removes items some time after `expires_at`, so every read leaves out what has expired
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable
from itertools import islice
from typing import Any

from lamella.aws.client import AwsClient, Reply
from lamella.aws.partitions import partition_of
from lamella.errors import StoreError
from lamella.websocket.store import Document, Member, Row
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.amazon import PAUSES, region_of, retried, service_url, strange
from lamella.websocket.stores.common import (
    Guard,
    NotSetUp,
    Refused,
    checked,
    decoded,
    encoded,
    new_version,
    now,
)

BATCH = 25
"""Items that one BatchWriteItem may have."""

LIMIT = 400 * 1024 - 2048
"""Bytes of a document: an item has 400 KB with its names, its keys, and its other attributes
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""

BUSY = frozenset(
    (
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
    )
)
"""Errors that pass. Source: DynamoDB's developer guide, Programming.Errors."""

Item = dict[str, dict[str, str]]
"""Attributes by name, with their types: {"pk": {"S": "c#1"}}."""

_LIVING = "expires_at > :now"


class Client:
    """DynamoDB's operations in one region.

    Raises ValueError where no region is known, or the endpoint is wrong.
    """

    def __init__(self, address: Address) -> None:
        self.region = region_of(address)
        default = f"https://dynamodb.{self.region}.{partition_of(self.region).domain}"
        self._url = service_url(address, default) + "/"
        self._aws = AwsClient(timeout=address.timeout)

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The operation's result.

        Raises `NotSetUp` without a table, else `Refused`, and UnicodeError for a name that UTF-8
        cannot hold.
        """
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        }
        body = json.dumps(parameters, ensure_ascii=False).encode()

        async def ask() -> Reply:
            return await self._aws.request(
                "dynamodb", self.region, "POST", self._url, headers, body
            )

        def is_busy(reply: Reply) -> bool:
            return reply.status >= 500 or (reply.status == 400 and _error(reply)[0] in BUSY)

        reply = await retried(ask, is_busy)
        if reply.status != 200:
            code, text = _error(reply)
            kind = NotSetUp if code == "ResourceNotFoundException" else Refused
            raise kind(f"{code}: {text}")
        try:
            result: dict[str, Any] = json.loads(reply.body)
        except ValueError:
            raise strange("DynamoDB", reply) from None
        if not isinstance(result, dict) or (operation == "Query" and "Items" not in result):
            raise strange("DynamoDB", reply)
        return result

    async def close(self) -> None:
        """Close the connections."""
        await self._aws.close()


class DynamoDBStore:
    """Implements `Store` in a table."""

    def __init__(self, address: Address) -> None:
        self._table = address.host
        self._shown = address.shown
        self._client = Client(address)
        self._guard = Guard(address)

    async def put(self, connection_id: str, document: Document, expires_at: int) -> None:
        item = {
            **_row_key(connection_id),
            "document": {"S": self._text(document)},
            "version": {"S": new_version()},
            "expires_at": _number(expires_at),
        }
        await self._guard(self._client.call("PutItem", TableName=self._table, Item=item))

    async def get(self, connection_id: str) -> Row | None:
        key = _row_key(connection_id)
        result = await self._guard(
            self._client.call("GetItem", TableName=self._table, Key=key, ConsistentRead=True)
        )
        item = result.get("Item")
        if item is None or int(item["expires_at"]["N"]) <= now():
            return None
        return Row(decoded(item["document"]["S"]), item["version"]["S"])

    async def replace(self, connection_id: str, document: Document, version: Any) -> bool:
        work = self._client.call(
            "UpdateItem",
            TableName=self._table,
            Key=_row_key(connection_id),
            UpdateExpression="SET #document = :document, #version = :new",
            # A write that is repeated, because its answer was lost, finds its own version.
            ConditionExpression=f"#version IN (:old, :new) AND {_LIVING}",
            ExpressionAttributeNames={"#document": "document", "#version": "version"},
            ExpressionAttributeValues={
                ":document": {"S": self._text(document)},
                ":new": {"S": new_version()},
                ":old": {"S": version},
                ":now": _number(now()),
            },
        )
        return await self._guard(_met(work))

    def _text(self, document: Document) -> str:
        """The document as JSON. Raises `StoreError` for one that is too large."""
        text = encoded(document)
        size = len(text.encode())
        if size > LIMIT:
            raise StoreError(
                f"A WebSocket's handshake and session have {size:,} bytes, and the connection "
                f"store {self._shown} takes {LIMIT:,} (DynamoDB's items have 400 KB): keep less "
                "in the session, or send less before the first receive()."
            )
        return text

    async def delete(self, connection_id: str) -> None:
        async def delete() -> None:
            pk = _connection(connection_id)
            found = [item["sk"]["S"] async for page in self._query(pk) for item in page]
            groups = [sk for sk in found if sk != "#"]
            # Memberships first: what is interrupted here can be found and deleted again.
            await self._remove([_key(group, connection_id) for group in groups])
            await self._remove([_key(pk, sk) for sk in found])

        await self._guard(delete())

    async def group_add(self, group: str, member: Member, expires_at: int) -> None:
        attributes = {"endpoint": {"S": member.endpoint}, "expires_at": _number(expires_at)}
        forward, reverse = _membership_keys(group, member.connection_id)

        async def add() -> None:
            for key in (reverse, forward):  # what is in a group can always be found by `delete`
                item = {**key, **attributes}
                await self._client.call("PutItem", TableName=self._table, Item=item)

        await self._guard(add())

    async def group_discard(self, group: str, connection_id: str) -> None:
        forward, reverse = _membership_keys(group, connection_id)

        async def discard() -> None:
            await self._remove([forward])
            await self._remove([reverse])

        await self._guard(discard())

    async def members(self, group: str) -> AsyncIterator[list[Member]]:
        values = {":now": _number(now())}
        pages = self._query(_group(group), FilterExpression=_LIVING, values=values)
        while (page := await self._guard(anext(pages, None))) is not None:
            if page:
                yield [Member(item["sk"]["S"], item["endpoint"]["S"]) for item in page]

    async def close(self) -> None:
        await self._client.close()

    async def _query(
        self, pk: str, values: Item | None = None, **parameters: Any
    ) -> AsyncIterator[list[Item]]:
        """All items under `pk`, 1 MB at a time; a filter may leave nothing of a page."""
        start: dict[str, Any] = {}
        while True:
            result = await self._client.call(
                "Query",
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}, **(values or {})},
                ConsistentRead=True,
                **start,
                **parameters,
            )
            yield result["Items"]
            if "LastEvaluatedKey" not in result:
                return
            start = {"ExclusiveStartKey": result["LastEvaluatedKey"]}

    async def _remove(self, keys: list[Item]) -> None:
        """Delete items, in no order; DynamoDB may leave some for another time."""
        rest = iter(keys)
        while batch := list(islice(rest, BATCH)):
            requests: list[Any] = [{"DeleteRequest": {"Key": key}} for key in batch]
            for pause in PAUSES:
                result = await self._client.call(
                    "BatchWriteItem", RequestItems={self._table: requests}
                )
                requests = result.get("UnprocessedItems", {}).get(self._table, [])
                if not requests:
                    break
                await asyncio.sleep(pause * random.random())
            else:
                raise Refused(f"UnprocessedItems: {len(requests)} writes were not done")


def _connection(connection_id: str) -> str:
    return f"c#{checked('connection ID', connection_id)}"


def _group(group: str) -> str:
    return f"g#{checked('group name', group)}"


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _row_key(connection_id: str) -> Item:
    return _key(_connection(connection_id), "#")


def _membership_keys(group: str, connection_id: str) -> tuple[Item, Item]:
    """The membership that is found by its group, and the one that is found by its connection."""
    by_group, by_connection = _group(group), _connection(connection_id)
    return _key(by_group, connection_id), _key(by_connection, by_group)


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}


async def _met(work: Awaitable[Any]) -> bool:
    """Whether the condition of a write was met."""
    try:
        await work
    except Refused as error:
        if str(error).startswith("ConditionalCheckFailedException"):
            return False
        raise
    return True


def _error(reply: Reply) -> tuple[str, str]:
    """The error's code, "ThrottlingException", and its text; the status where it has none."""
    try:
        error = json.loads(reply.body)
        code = error["__type"].rpartition("#")[2]
        return code, error.get("message") or error.get("Message") or "no text"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {reply.status}", reply.body[:200].decode("utf-8", "replace")
