"""`lamella websocket init URL`: sets up the store that ASGI_WEBSOCKET_STORE will name."""

from __future__ import annotations

import asyncio
import json

import click

from lamella.errors import WebSocketError
from lamella.tools import MISSING
from lamella.tools.stores.done import Done, SetupError
from lamella.websocket.stores.address import parse, redacted

NOTHING = {
    "redis": "keys are created as they are needed, each with its time to live.",
    "sqlite": "the file and its tables are created with the first connection.",
    "memory": "it is the process's own memory.",
}


@click.group("websocket")
def websocket() -> None:
    """What WebSockets need besides the function."""


@websocket.command("init", short_help="Set up the connection store at URL.")
@click.argument("url", metavar="URL")
@click.option("--profile", help="A profile of AWS's shared configuration files.")
def init(url: str, profile: str | None) -> None:
    """Set up the connection store at URL, which is the function's ASGI_WEBSOCKET_STORE.

    \b
    dynamodb://TABLE              a table, billed on demand, with its time to live
    s3://BUCKET/PREFIX            a bucket, and a rule that removes what is a day old under PREFIX
    postgresql://USER:PASSWORD@HOST/DATABASE    two tables and their indexes
    redis:// valkey:// sqlite: memory:          nothing is needed

    What is there already stays as it is, so this can be run again. The function itself never
    creates a table or a bucket.

    For dynamodb and s3 the credentials are those of AWS's command line: variables, a profile
    (--profile or AWS_PROFILE), single sign-on. The region is ?region= in URL, else AWS_REGION,
    else the profile's.

    The IAM statements that the function's role needs go to the standard output as JSON, all else
    to the standard error.
    """
    try:
        address = parse(url)
        if address.kind in ("dynamodb", "s3"):
            from lamella.tools.stores import amazon  # boto3 takes a quarter of a second

            done = amazon.set_up(address, profile)
        elif address.kind == "postgresql":
            from lamella.tools.stores import postgresql

            done = asyncio.run(postgresql.set_up(address))
        else:
            done = Done([f"{address.shown} needs nothing: {NOTHING[address.kind]}"], [])
    except ModuleNotFoundError as error:
        message = MISSING.format("lamella websocket init", error.name, "local")
        raise click.ClickException(message) from None
    except ValueError as error:
        raise click.UsageError(f"{redacted(url)}: {error}.") from None
    except (SetupError, WebSocketError) as error:
        raise click.ClickException(str(error)) from error
    for line in done.lines:
        click.echo(line, err=True)
    if done.policy:
        click.echo("The function's role needs these statements in its policy:", err=True)
        click.echo(json.dumps(done.policy, indent=2))
