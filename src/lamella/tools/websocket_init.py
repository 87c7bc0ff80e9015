"""`lamella websocket init URL`: sets up the store that ASGI_WEBSOCKET_STORE will name."""

from __future__ import annotations

import asyncio
import json

import click

from lamella.errors import WebSocketError
from lamella.tools.stores.done import Done, SetupError
from lamella.websocket.stores.address import Address, parse, redacted

NOTHING = {
    "redis": "keys are created as they are needed, each with its time to live.",
    "sqlite": "the file and its tables are created with the first connection.",
    "memory": "it is the process's own memory.",
}


@click.group("websocket")
def websocket() -> None:
    """What WebSockets need besides the function."""


@websocket.command("init")
@click.argument("url", metavar="URL")
def init(url: str) -> None:
    """Set up the connection store at URL, which is the function's ASGI_WEBSOCKET_STORE.

    \b
    dynamodb://TABLE              a table, billed on demand, with its time to live
    s3://BUCKET/PREFIX            a bucket, and a rule that removes what is a day old under PREFIX
    postgresql://USER:PASSWORD@HOST/DATABASE    two tables and their indexes
    redis:// valkey:// sqlite: memory:          nothing is needed

    What is there already stays as it is, so this can be run again. The function itself never
    creates a table or a bucket.

    For dynamodb and s3 the region is AWS_REGION or ?region= in URL, and the credentials are
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Profiles are not read; this
    sets the variables from one:

    \b
      eval "$(aws configure export-credentials --profile NAME --format env)"

    The IAM statements that the function's role needs go to the standard output as JSON, all else
    to the standard error.
    """
    try:
        address = parse(url)
        done = asyncio.run(_set_up(address))
    except ValueError as error:
        raise click.UsageError(f"{redacted(url)}: {error}.") from None
    except (SetupError, WebSocketError) as error:
        raise click.ClickException(str(error)) from error
    for line in done.lines:
        click.echo(line, err=True)
    if done.policy:
        click.echo("The function's role needs these statements in its policy:", err=True)
        click.echo(json.dumps(done.policy, indent=2))


async def _set_up(address: Address) -> Done:
    if address.kind == "dynamodb":
        from lamella.tools.stores import dynamodb

        return await dynamodb.set_up(address)
    if address.kind == "s3":
        from lamella.tools.stores import s3

        return await s3.set_up(address)
    if address.kind == "postgresql":
        from lamella.tools.stores import postgresql

        return await postgresql.set_up(address)
    return Done([f"{address.shown} needs nothing: {NOTHING[address.kind]}"], [])
