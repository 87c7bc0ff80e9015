"""The command `lamella layer publish`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from lamella.local.machine.layer import LayerError, find_layer
from lamella.tools import MISSING
from lamella.tools.layer.publishing import PublishError, access
from lamella.tools.layer.publishing.access import Access
from lamella.tools.layer.publishing.templates import FORMATS

FILE = click.Path(path_type=Path, dir_okay=False)


def words(values: Sequence[str]) -> list[str]:
    """The words of all `values`, once each: a value may have several, apart by spaces or commas."""
    return list(dict.fromkeys(re.findall(r"[^\s,]+", " ".join(values))))


def _regions(_: click.Context, _option: click.Parameter, values: Sequence[str]) -> list[str]:
    if not (names := words(values)):
        raise click.BadParameter("name at least one region")
    return names


def _access(
    _context: click.Context, _option: click.Parameter, values: Sequence[str]
) -> list[Access]:
    try:
        return [access.parse(word) for word in words(values)]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _name(pattern: str, advice: str) -> Callable[..., str | None]:
    """Refuse a name that AWS would refuse: after the layer is published it would be too late."""

    def check(_: click.Context, _option: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise click.BadParameter(f"{value!r}: {advice}")
        return value

    return check


@click.command("publish")
@click.option(
    "--region",
    "regions",
    multiple=True,
    required=True,
    callback=_regions,
    metavar="REGION",
    help='Such as eu-west-1. For several: again, or "eu-west-1 us-east-1".',
)
@click.option("--yes", is_flag=True, help="Really publish; without it the command only reads.")
@click.option(
    "--access",
    "allowed",
    multiple=True,
    callback=_access,
    metavar="WHO",
    help="Who else may use it: account:123456789012, organization:o-... or public.",
)
@click.option(
    "--ssm",
    "parameter",
    # https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
    callback=_name(
        r"[a-zA-Z0-9_.-]+|(/[a-zA-Z0-9_.-]+){1,15}",
        "a parameter is letters, digits and . - _, and one with a / begins with it, "
        "as in /lamella/layer-arn",
    ),
    metavar="NAME",
    help="Write the ARN to this parameter in each region, such as /lamella/layer-arn.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="arn",
    show_default=True,
    help="What is printed: the ARNs, or the lines for a template.",
)
@click.option("--profile", help="A profile of AWS's shared configuration files.")
@click.option("--layer", "given", type=FILE, help="Another zip than the installed one.")
@click.option(
    "--name",
    default="lamella",
    show_default=True,
    # https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html
    callback=_name(r"[a-zA-Z0-9_-]{1,140}", "a layer's name is letters, digits, - and _"),
    help="The layer's name in AWS.",
)
@click.option(
    "--ledger",
    type=FILE,
    help="A JSON file that keeps which region has which version, so that numbers stay equal.",
)
@click.pass_context
def publish(
    context: click.Context,
    /,
    regions: list[str],
    yes: bool,
    allowed: list[Access],
    parameter: str | None,
    form: str,
    profile: str | None,
    given: Path | None,
    name: str,
    ledger: Path | None,
) -> None:
    """Publish the layer to your AWS account, and print its ARN.

    Without --yes it reads, says what it would do, and changes nothing. It is safe to run again
    after a failure: a region whose newest version has the same content is left as it is. What is
    printed to stdout is the result alone, the rest goes to stderr. The exit status is 1 when a
    region failed.
    """
    try:  # boto3 takes a quarter of a second, which the other commands need not wait
        from rich.console import Console

        from lamella.tools.layer.publishing import trouble
        from lamella.tools.layer.publishing.job import Job, Order
        from lamella.tools.layer.publishing.numbers import Latest
    except ModuleNotFoundError as error:
        raise click.ClickException(
            MISSING.format("lamella layer publish", error.name, "publish")
        ) from None
    try:
        path = find_layer(given)
        order = Order(path, regions, name, tuple(allowed), profile, parameter, ledger)
        job = Job(order, Console(stderr=True, highlight=False))
        results = job.look()
        if yes:
            results = job.publish(results)
        else:
            job.tell(results)
    except (*trouble.AWS_ERRORS, LayerError, PublishError) as error:
        raise click.ClickException(trouble.explain(error)) from error
    found = {region: each.arn for region, each in results.items() if isinstance(each, Latest)}
    if yes and found:
        click.echo(FORMATS[form](found, parameter))
    context.exit(int(len(found) < len(regions)))
