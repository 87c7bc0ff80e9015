"""`lamella invoke`: an event for a function, here or on AWS, as its source would send it."""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from lamella.commands import CLIENT_CONTEXT, COMMAND
from lamella.local.events.retries import MAPPED, records_of, verdict
from lamella.local.events.samples import SAMPLES
from lamella.sources.registry import find
from lamella.sources.services import service_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

LONGEST = 900
"""Seconds: Lambda's longest timeout."""


class _WithCommand(click.Command):
    """Click's command, but what follows `--` is not for click: it is `ctx.obj`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            args, ctx.obj = args[:at], args[at + 1 :]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


@click.command("invoke", cls=_WithCommand, short_help="Send an event or a command to a function.")
@click.argument("function", required=False)
@click.option("--event", type=click.File("rb"), metavar="FILE", help='JSON; "-": standard input.')
@click.option("--sample", type=click.Choice(list(SAMPLES)), help="An event of this source.")
@click.option("--print", "only_print", is_flag=True, help="Print the event, and send nothing.")
@click.option("--async", "queued", is_flag=True, help="By Lambda's queue: no result is awaited.")
@click.option("--once", is_flag=True, help="One attempt, whatever the source does with a failure.")
@click.option("--port", type=click.IntRange(1, 65535), help="That of lamella run.  [default: 3000]")
@click.option("--endpoint-url", metavar="URL", help="Of any other Invoke API.")
@click.option("--profile", help="A profile of AWS's shared configuration files.")
@click.option("--region", help="Where FUNCTION is, unless variables or the profile say so.")
@click.pass_context
def invoke(
    ctx: click.Context,
    function: str | None,
    event: Any,
    sample: str | None,
    only_print: bool,
    queued: bool,
    once: bool,
    port: int | None,
    endpoint_url: str | None,
    profile: str | None,
    region: str | None,
) -> None:
    """Invoke FUNCTION on AWS, or without FUNCTION the one that `lamella run` serves.

    \b
    lamella invoke --sample sqs
    lamella invoke --event event.json
    lamella invoke my-function -- python manage.py migrate

    An event that fails comes again as its source would send it: the failed messages of a queue,
    the rest of a stream, an asynchronous event two times. Results go to the standard output, what
    the source does to the standard error. The exit status is 1 if something failed for good.

    COMMAND runs in the function, which needs ASGI_COMMANDS=on. Its exit status is this one's.
    """
    payload = _payload(event, sample, ctx.obj)
    if only_print:
        click.echo(json.dumps(payload, indent=2))
        return
    if not endpoint_url and (port or not function):
        endpoint_url = f"http://127.0.0.1:{port or 3000}"
    target = _Target(_client(endpoint_url, profile, region), function or "local", endpoint_url)
    if ctx.obj:
        ctx.exit(_run_command(target, payload))
    if queued:
        target.invoke(payload, InvocationType="Event")
        click.echo("Lambda has the event, and tries it three times at most: see the log.", err=True)
        return
    ctx.exit(_play(target, payload, once))


def _payload(event: Any, sample: str | None, command: list[str] | None) -> Any:
    """The event that the command line asks for. Raises click.UsageError."""
    if bool(event) + bool(sample) + bool(command) != 1:
        raise click.UsageError("give one of --event FILE, --sample NAME and -- COMMAND")
    if command:
        return {COMMAND: command}
    if sample:
        return SAMPLES[sample]()
    try:
        return json.load(event)
    except ValueError as error:
        raise click.UsageError(f"--event: the file is not JSON: {error}") from None


class _Answer(NamedTuple):
    """What an invocation returned; `failed`: it is the error."""

    payload: bytes
    failed: bool


class _Target:
    """A function, and the client that reaches it; `endpoint` None is AWS's own."""

    def __init__(self, client: LambdaClient, name: str, endpoint: str | None) -> None:
        self._client = client
        self._name = name
        self._endpoint = endpoint

    def invoke(self, event: Any, **options: Any) -> _Answer:
        """Invoke the function. Raises click.ClickException where the API refuses that."""
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

        if self._endpoint is None and not options:
            options["LogType"] = "Tail"  # a local function's log is in its own terminal
        try:
            got = self._client.invoke(FunctionName=self._name, Payload=json.dumps(event), **options)
        except ClientError as error:
            code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
            raise click.ClickException(f"{self._name}: {code}: {text}") from None
        except EndpointConnectionError:
            raise click.ClickException(
                f"nothing answers at {self._endpoint}: start `lamella run`, give its --port, or "
                "name the deployed function, `lamella invoke FUNCTION`"
            ) from None
        except BotoCoreError as error:
            raise click.ClickException(str(error)) from None
        failed = "FunctionError" in got
        if failed and "LogResult" in got:
            click.echo(base64.b64decode(got["LogResult"]).decode("utf-8", "replace"), err=True)
        return _Answer(got["Payload"].read(), failed)


def _client(endpoint: str | None, profile: str | None, region: str | None) -> LambdaClient:
    import boto3  # a quarter of a second
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    # An event is sent once: what comes again, and how often, is played here.
    config = Config(read_timeout=LONGEST + 10, retries={"total_max_attempts": 1})
    if endpoint is not None:
        try:
            return boto3.client(
                "lambda",
                region or "us-east-1",
                endpoint_url=endpoint,
                config=config,
                aws_access_key_id="made-up",
                aws_secret_access_key="made-up",
            )
        except ValueError as error:
            raise click.UsageError(f"--endpoint-url {endpoint}: {error}") from None
    try:
        session = boto3.Session(profile_name=profile)
        where = region or os.environ.get("AWS_REGION") or session.region_name
        if where is None:
            raise click.UsageError("there is no region: give --region, or set AWS_REGION")
        return session.client("lambda", where, config=config)
    except BotoCoreError as error:
        raise click.ClickException(str(error)) from None


def _play(target: _Target, event: Any, once: bool) -> int:
    """Send the event as its source does, until nothing of it is left; the exit status."""
    front_door = find(event)
    source = service_of(event) if front_door.name == "events" else front_door.name
    for attempt in range(1, LONGEST):
        count = len(records_of(event)) if source in MAPPED else 0
        batch = f", {count} record{'s' * (count != 1)}" if count else ""
        click.echo(f"{source}, attempt {attempt}{batch}:", err=True)
        answer = target.invoke(event)
        click.echo(answer.payload, err=answer.failed)
        again, words, lost = verdict(source, event, answer.payload, answer.failed, attempt)
        if words:
            click.echo(f"{source}: {words}.", err=True)
        if again is None:
            return int(lost)
        if once:
            return 1
        event = again
    return 1


def _run_command(target: _Target, event: Any) -> int:
    """Run a command in the function; its exit status, after its output."""
    context = base64.b64encode(json.dumps(CLIENT_CONTEXT).encode()).decode()
    answer = target.invoke(event, ClientContext=context)
    result = json.loads(answer.payload or b"null")
    if answer.failed:
        raise click.ClickException(str(result.get("errorMessage", result)))
    if not isinstance(result, dict) or "exit_code" not in result:
        raise click.ClickException(
            f"the function did not run the command, and answered {result!r:.200}: set "
            "ASGI_COMMANDS=on, and deploy a Lamella that has this setting"
        )
    sys.stdout.write(result["output"])
    return int(result["exit_code"])
