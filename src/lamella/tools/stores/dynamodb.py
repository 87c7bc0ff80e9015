"""The table of `dynamodb://table`: its keys, on-demand billing, and its time to live."""

from __future__ import annotations

import asyncio
from typing import Any

from lamella.tools.stores.done import Done, Policy, SetupError
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import Guard, NotSetUp
from lamella.websocket.stores.dynamodb import Client

KEYS = {"pk": "HASH", "sk": "RANGE"}
PATIENCE = 60
"""Seconds that a new table may take."""


async def set_up(address: Address) -> Done:
    """Create what is missing. Raises `SetupError`, `WebSocketError`, ValueError."""
    client = Client(address)
    try:
        return await _Setup(address, client).run()
    finally:
        await client.close()


class _Setup:
    def __init__(self, address: Address, client: Client) -> None:
        self._name = address.host
        self._client = client
        self._guard = Guard(address)

    async def run(self) -> Done:
        table = await self._guard(self._found())
        named = f"Table {self._name} in {self._client.region}"
        lines = [f"{named} was there already." if table else f"{named} was created."]
        if table is None:
            table = await self._created()
        keys = {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]}
        types = {
            each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]
        }
        if keys != KEYS or {types[key] for key in keys} != {"S"}:
            raise SetupError(
                f"{named} has the keys {keys}, and Lamella needs the strings {KEYS}: choose "
                "another name."
            )
        lines.append(await self._expiry())
        return Done(lines, policy(table["TableArn"]))

    async def _found(self) -> dict[str, Any] | None:
        try:
            result = await self._client.call("DescribeTable", TableName=self._name)
        except NotSetUp:
            return None
        table: dict[str, Any] = result["Table"]
        return table

    async def _created(self) -> dict[str, Any]:
        work = self._client.call(
            "CreateTable",
            TableName=self._name,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEYS.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
            BillingMode="PAY_PER_REQUEST",
        )
        await self._guard(work)
        for _ in range(PATIENCE):
            table = await self._guard(self._found())
            if table and table["TableStatus"] == "ACTIVE":
                return table
            await asyncio.sleep(1)
        raise SetupError(
            f"Table {self._name} is not ready after {PATIENCE} s: run this again when it is."
        )

    async def _expiry(self) -> str:
        work = self._client.call("DescribeTimeToLive", TableName=self._name)
        state = (await self._guard(work))["TimeToLiveDescription"]
        if state["TimeToLiveStatus"] in ("ENABLED", "ENABLING"):
            if state["AttributeName"] != "expires_at":
                raise SetupError(
                    f"Table {self._name} has its time to live in {state['AttributeName']}, and "
                    "Lamella needs it in expires_at: choose another name."
                )
            return "Its time to live, expires_at, was switched on already."
        specification = {"AttributeName": "expires_at", "Enabled": True}
        work = self._client.call(
            "UpdateTimeToLive", TableName=self._name, TimeToLiveSpecification=specification
        )
        await self._guard(work)
        return "Its time to live, expires_at, was switched on."


def policy(arn: str) -> Policy:
    """What the function may do with the table."""
    operations = ("BatchWriteItem", "GetItem", "PutItem", "Query", "UpdateItem")
    actions = [f"dynamodb:{operation}" for operation in operations]
    return [{"Effect": "Allow", "Action": actions, "Resource": arn}]
