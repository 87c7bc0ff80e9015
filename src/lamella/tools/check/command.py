"""The command `lamella check`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from lamella.local.machine.limits import Limits, enforceable
from lamella.tools.check import application, folder, front, web_function, websockets
from lamella.tools.check.findings import Finding, Level, warning, worst
from lamella.tools.check.importtime import Package, slowest, tree
from lamella.tools.check.probing import Probe, run_probe
from lamella.tools.check.target import Request, Target, TargetError, lay_out, resolved

PATH = click.Path(path_type=Path, exists=True)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)

MARKS = {
    Level.OK: "[green]ok[/]",
    Level.WARNING: "[yellow]warning[/]",
    Level.PROBLEM: "[bold red]problem[/]",
}


def target_options(command: Any) -> Any:
    """The options that say which function it is; `check` and `compile` share them."""
    for option in (
        click.option("--app", metavar="MODULE:ATTRIBUTE", help="The function's ASGI_APP."),
        click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable of it."),
        click.option("--python", help="An interpreter of the runtime's minor version."),
        click.option("--runtime", default="", help="The function's runtime, such as python3.13."),
        click.option(
            "--architecture", type=click.Choice(["x86_64", "arm64"]),
            help="The function's processor.",
        ),
        click.option(
            "--template", type=PATH,
            help="The SAM template that has these; found where it lies in DIR or one level up.",
        ),
        click.option("--function", help="The function's logical id, where there are several."),
        click.option(
            "--layer", "layers", multiple=True, type=PATH, help="Another layer: zip or folder."
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("directory", metavar="[DIR]", type=FOLDER, default=".")
@target_options
@click.option("--lifespan/--no-lifespan", default=True, help="Run startup and shutdown.")
@click.option(
    "--web-function", "for_web", is_flag=True, help="Say what would break on AWS's Web Functions."
)
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
@click.option("--json", "as_json", is_flag=True, help="A report for programs.")
@click.pass_context
def check(
    context: click.Context,
    /,
    directory: Path,
    lifespan: bool,
    for_web: bool,
    strict: bool,
    as_json: bool,
    layers: tuple[Path, ...],
    **options: Any,
) -> None:
    """Say what an init on Lambda would meet, before the deploy.

    DIR is the function's folder with its packages, as `sam build` leaves it. Exits with 0 where
    all is well, 1 with a problem, 2 where the command line is wrong.
    """
    try:
        target = resolved(Request(directory, layers=layers, **options))
        findings, probe = run_checks(target, lifespan, for_web)
    except TargetError as error:
        raise click.UsageError(str(error)) from error
    level = worst(findings)
    if as_json:
        report = {
            "directory": str(target.folder),
            "python": {"path": target.interpreter.path, "minor": target.interpreter.minor},
            "template": None if target.template is None else str(target.template.path),
            "level": level.value,
            "findings": [finding.as_json() for finding in findings],
        }
        click.echo(json.dumps(report, indent=1))
    else:
        _show(target, findings, probe)
    failing = (Level.PROBLEM, Level.WARNING) if strict else (Level.PROBLEM,)
    context.exit(1 if level in failing else 0)


def run_checks(
    target: Target, lifespan: bool = True, for_web: bool = False
) -> tuple[list[Finding], Probe]:
    """Every finding about `target`, and the probe they rest on. Raises `TargetError`.

    Runs the function's code in a process of its own; with `lifespan` its startup, too. `for_web`:
    as a Web Function of AWS's.
    """
    if for_web:
        target = web_function.as_web_function(target)
    with tempfile.TemporaryDirectory(prefix="lamella-opt-") as directory:
        opt = Path(directory)
        lay_out(target.layers, opt)
        if folder.is_foreign(target, target.interpreter):
            probe = Probe({})
            here = target.interpreter.architecture
            message = f"Not imported: the function is {target.architecture}, this machine {here}."
            started = [warning("application", message)]
        else:
            origin = front.origin(target)
            limits, missing = enforceable(Limits())
            probe = run_probe(
                target, opt, limits, lifespan=lifespan, import_times=True, origin=origin
            )
            started = [
                *application.application(probe, target),
                *application.lifespan(probe, lifespan),
                application.files("" if limits.mounts else missing[0]),
            ]
        if for_web:
            there = web_function.findings(target, probe)
            return [*there, *started, *folder.shadows(target, opt)], probe
        findings = [
            *application.settings(target),
            *application.shell(target, os.environ),
            *application.runtime(target),
            *front.elsewhere(target),
            *front.template(target),
            *front.attached(target),
            *front.handler_name(target),
            *front.invoke_mode(target),
            *front.batches(target),
            *front.permissions(target),
            *folder.natives(target),
            *started,
            *front.cors(target, probe),
            *websockets.store(probe),
            *websockets.routes(target),
            *folder.shadows(target, opt),
            *folder.opentelemetry(target, opt),
            *folder.needless(target),
            folder.size(target, opt),
            folder.compiled(target),
            *application.import_times(probe, target),
        ]
        return findings, probe


def _import_tree(package: Package, shown: set[int]) -> Tree:
    """The packages in `shown` by their identity, each below those that import it."""
    title = "[bold]import time by package: with what it imports, and its own[/]"
    if package.name:
        title = f"{escape(package.name)}  {package.total:.0f} ms, own {package.own:.0f} ms"
    branch = Tree(title)
    for child in sorted(package.children, key=lambda each: -each.total):
        if any(id(each) in shown for each in child.walk()):
            branch.add(_import_tree(child, shown))
    return branch


def _show(target: Target, findings: list[Finding], probe: Probe) -> None:
    def columns(*options: Any) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for each in options:
            table.add_column(**each)
        return table

    console = Console(highlight=False)
    if console.width < 100 and not console.is_terminal:
        console = Console(highlight=False, width=100)  # a CI log wraps by itself
    console.print(f"[bold]{target.folder}[/] on Python {target.interpreter.minor}", soft_wrap=True)
    if function := target.function:
        console.print(f"configured by {function.template} ({function.name})", soft_wrap=True)
    table = columns({"no_wrap": True}, {"no_wrap": True}, {"overflow": "fold"})
    for finding in findings:
        table.add_row(MARKS[finding.level], finding.check, escape(finding.message))
    console.print(table)
    if probe.import_ms:
        packages = tree(probe.stderr, target.interpreter.library)
        console.print()
        console.print(_import_tree(packages, {id(each) for each in slowest(packages)}))
    if probe.error and probe.error["frames"]:
        console.print("\n[bold]the application's traceback[/]")
        console.print("".join(probe.error["frames"]), markup=False, soft_wrap=True)
