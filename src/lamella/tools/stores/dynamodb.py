"""The table of `dynamodb://table`: its keys, on-demand billing, and its time to live."""

from __future__ import annotations

from typing import Any

from lamella.tools.stores.done import Done, Policy, SetupError

KEYS = {"pk": "HASH", "sk": "RANGE"}
EXPIRY = "expires_at"


def set_up(client: Any, name: str) -> Done:
    """Create what is missing with boto3's DynamoDB client. Raises `SetupError`, botocore's errors.

    A table that is there is used as it is where its keys are right; nothing of it is changed but
    the time to live, where that is off.
    """
    named = f"Table {name} in {client.meta.region_name}"
    try:
        client.describe_table(TableName=name)
        lines = [f"{named} was there already."]
    except client.exceptions.ResourceNotFoundException:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in KEYS.items()],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in KEYS],
            BillingMode="PAY_PER_REQUEST",
        )
        lines = [f"{named} was created."]
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    table = client.describe_table(TableName=name)["Table"]
    keys = {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]}
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    if keys != KEYS or {types[key] for key in keys} != {"S"}:
        raise SetupError(
            f"{named} has the keys {keys}, and Lamella needs the strings {KEYS}: choose another "
            "name."
        )
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if expiry["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):
        wanted = {"AttributeName": EXPIRY, "Enabled": True}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)
        lines.append(f"Its time to live, {EXPIRY}, was switched on.")
    elif expiry["AttributeName"] == EXPIRY:
        lines.append(f"Its time to live, {EXPIRY}, was switched on already.")
    else:
        raise SetupError(
            f"{named} has its time to live in {expiry['AttributeName']}, and Lamella needs it in "
            f"{EXPIRY}: choose another name."
        )
    return Done(lines, policy(table["TableArn"]))


def policy(arn: str) -> Policy:
    """What the function may do with the table."""
    operations = ("BatchWriteItem", "GetItem", "PutItem", "Query", "UpdateItem")
    actions = [f"dynamodb:{operation}" for operation in operations]
    return [{"Effect": "Allow", "Action": actions, "Resource": arn}]
