"""`lamella run`: a function, its layer and a front door on http://127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lamella.front_doors.names import FRONT_DOORS
from lamella.local.config import FunctionConfig
from lamella.local.endpoints.server import bound_socket, is_loopback, origin_of
from lamella.local.endpoints.websockets.api import WebSocketApi, with_websockets
from lamella.local.machine.bytecode import changed
from lamella.local.machine.interpreter import InterpreterError, inspected
from lamella.local.machine.layer import LayerError, opened_layer, unpack
from lamella.local.machine.limits import enforceable
from lamella.local.run import env_file
from lamella.local.run.advice import advice
from lamella.local.run.numbers import AT_A_TIME, MEMORY, PORT, SLOTS, TIMEOUT
from lamella.local.run.options import Options
from lamella.local.run.project import (
    ProjectError,
    Served,
    of_command_line,
    of_template,
    without_deadline,
)
from lamella.local.run.session import Session
from lamella.local.run.terminal import Terminal

NAMES = [*(name for name in FRONT_DOORS if name != "edge"), "websocket"]
"""The front doors that can have a layer's function behind them: Lambda@Edge allows no layers."""


@click.command()
@click.argument("app", metavar="[PACKAGE.MODULE:APP]", required=False)
@click.option(
    "--template", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A SAM or CloudFormation template, whose HTTP functions are served as it has them.",
)  # fmt: skip
@click.option("--function", metavar="NAME", help="--template: only this function of it.")
@click.option(
    "--front-door", type=click.Choice(NAMES),
    help="The event source that the function is behind.  [default: url, or the template's]",
)  # fmt: skip
@click.option(
    "--port", default=3000, show_default=True, type=PORT,
    help="Port to listen on; 0 picks one.",
)  # fmt: skip
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS",
    help="Address to listen on. Any other than loopback lets others use the function.",
)  # fmt: skip
@click.option(
    "--public-host", "public_hosts", multiple=True, metavar="NAME",
    help="The host and domain that the function sees, as on AWS; a tunnel's name. Of several, "
    "requests to localhost have the first.",
)  # fmt: skip
@click.option("--layer", type=click.Path(path_type=Path), help="Lamella's layer, zip or directory.")
@click.option(
    "--task-root", type=click.Path(path_type=Path),
    help="The function's code, as /var/task.  [default: this folder, or the template's]",
)  # fmt: skip
@click.option(
    "--python",
    help="The interpreter of the function; else the .venv, and what compiled modules need.",
)
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable of the function.")
@click.option(
    "--env-file", "env_files", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    help="A file with variables of the function, such as .env.",
)  # fmt: skip
@click.option(
    "--timeout", type=TIMEOUT,
    help="Seconds for one invocation.  [default: 30, or the template's]",
)  # fmt: skip
@click.option(
    "--memory", type=MEMORY,
    help="MB; a function that uses more is killed.  [default: 512, or the template's]",
)  # fmt: skip
@click.option(
    "--concurrency", default=10, show_default=True, type=AT_A_TIME,
    help="Most environments at a time.",
)  # fmt: skip
@click.option(
    "--spread", type=AT_A_TIME, metavar="N",
    help="Events take turns on at least so many environments: websocket (2), others (1).",
)  # fmt: skip
@click.option("--freeze/--no-freeze", default=True, help="Freeze the process between invocations.")
@click.option(
    "--managed", type=SLOTS, metavar="N",
    help="On managed instances: one environment, N events at a time.",
)  # fmt: skip
@click.option(
    "--snap-start", is_flag=True, help="Hold the runtime in /restore/next before its first event."
)
@click.option(
    "--limits/--no-limits", default=True,
    help="Read-only files, a /tmp of its own, memory and open files: as far as possible here.",
)  # fmt: skip
@click.option(
    "--debug", is_flag=True,
    help="breakpoint() works here: one environment, no freeze, no limits, no deadlines.",
)  # fmt: skip
@click.option("--reload/--no-reload", default=True, help="New environments when code changes.")
@click.option(
    "--watch", "watched", multiple=True, type=click.Path(path_type=Path, exists=True),
    help="A file or folder besides --task-root, whose changes reload, too.",
)  # fmt: skip
@click.option("--stage", help='Stage of rest and websocket ("prod"), or http ("$default").')
@click.option("--base", default="", help="Base path of a custom domain, for rest and http.")
@click.option("--stream/--no-stream", default=None, help="Streamed answers: url (on), rest (off).")
@click.option(
    "--hold-chunks", is_flag=True,
    help="url: a small chunk of a stream waits for the next one, as users report of AWS.",
)  # fmt: skip
@click.option(
    "--binary", multiple=True, default=["*/*"], show_default=True, metavar="TYPE",
    help="rest: one of the API's binaryMediaTypes.",
)  # fmt: skip
@click.option(
    "--route", "routes", multiple=True, metavar="KEY",
    help="websocket: a route key, for messages whose JSON has it as `action`.",
)  # fmt: skip
@click.option(
    "--lambda-logs", is_flag=True,
    help="The log as on CloudWatch: START, END, REPORT, and records with time and request id.",
)  # fmt: skip
@click.option(
    "--console/--no-console", default=sys.stdout.isatty,
    help="A page that shows each invocation, on a port of its own.  [default: on a terminal]",
)  # fmt: skip
@click.option("--try", "tries", multiple=True, metavar="PATH", help="Paths for the curl lines.")
def run(**options: Any) -> None:
    """Run an ASGI application on a Lambda on this machine.

    Needs neither Docker nor an AWS account. Without --layer it takes
    dist/lamella-layer.zip, and else the layer of the package lamella-layer.
    """
    chosen = Options(**options)
    terminal = Terminal(lambda_logs=chosen.lambda_logs)
    check_options(chosen)
    with contextlib.ExitStack() as stack:
        try:
            layer = stack.enter_context(opened_layer(chosen.layer))
            notes: list[str] = []
            if chosen.template is None:
                served = [of_command_line(chosen, layer)]
            else:
                served, notes = of_template(chosen, chosen.template, layer)
            served = [with_layers(each, layer, stack, notes) for each in served]
        except (LayerError, ProjectError, InterpreterError) as error:
            raise click.ClickException(str(error)) from error
        for note in notes:
            terminal.note(note)
        listening = stack.enter_context(_listening(chosen.host, chosen.port))
        if not is_loopback(chosen.host):
            terminal.note(
                f"--host {chosen.host}: everybody who reaches this address can use the function, "
                "its Invoke API included; there is no password"
            )
        served = [prepared(each, chosen, origin_of(listening), stack) for each in served]
        served = put_under_limits(served, terminal)
        tell_of_opt(served, terminal)
        for each in served:
            tell_of_surprises(each.config, terminal)
        failed = asyncio.run(Session(chosen, served, listening, terminal).run())
    if failed is not None:
        failure, config = failed
        message = f"the function does not start: {failure.error_type}: {failure.message}"
        exited = "" if failure.exit_code is None else f" (exit code {failure.exit_code})"
        lines = filter(None, (message + exited, advice(failure.message, config)))
        raise click.ClickException("\n".join(lines))


def with_layers(
    served: Served, layer: Path, stack: contextlib.ExitStack, notes: list[str]
) -> Served:
    """The function with its own layers beside Lamella's in one /opt. Raises LayerError."""
    usable = []
    for each in served.layers:
        if (each / "python" / "lamella").is_dir():
            continue  # Lamella's own
        if each.is_file() or any((each / name).is_dir() for name in ("python", "bin", "lib")):
            usable.append(each)
        else:
            notes.append(f"the layer in {each} is left out: it has to be built first (sam build)")
    if not usable:
        return replace(served, layers=())
    opt = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lamella-opt-")))
    for each in (*usable, layer):
        unpack(each, opt)
    config = replace(served.config, wrapper=opt / "bootstrap")
    return replace(served, config=config, layers=tuple(usable))


def prepared(served: Served, options: Options, origin: str, stack: contextlib.ExitStack) -> Served:
    """The function with what its front door needs: a store of connections, or no deadline."""
    config, doors = served.config, [each.door for each in served.entrances]
    for door in doors:
        if isinstance(door, WebSocketApi):
            made = tempfile.TemporaryDirectory(prefix="lamella-websocket-")
            folder = Path(stack.enter_context(made))
            variables = with_websockets(config.environment, door.endpoint(origin), folder)
            config = replace(config, environment=variables)
            if config.limits is not None:
                writable = (*config.limits.writable, folder)
                config = replace(config, limits=replace(config.limits, writable=writable))
    if options.debug:
        doors = [without_deadline(door) for door in doors]
    entrances = zip(served.entrances, doors, strict=True)
    return replace(
        served,
        config=config,
        entrances=tuple(replace(each, door=door) for each, door in entrances),
    )


def check_options(options: Options) -> None:
    """Raises click.UsageError for options that do not go together."""
    if options.app is None and options.template is None:
        raise click.UsageError("name the application, such as main:app, or a --template")
    if options.app is not None and ":" not in options.app:
        raise click.UsageError(f"{options.app!r} has no colon: write MODULE:NAME, such as main:app")
    if options.function is not None and options.template is None:
        raise click.UsageError("--function names a function of a template: add --template")
    if options.managed is not None and options.snap_start:
        raise click.UsageError("--managed and --snap-start: Lambda allows one of the two")
    if options.managed is not None and options.spread is not None:
        raise click.UsageError(
            "--managed and --spread: on managed instances one environment has all events"
        )
    if options.debug and (options.managed is not None or options.snap_start):
        raise click.UsageError(
            "--debug and --managed or --snap-start: a debugger has one environment, with one "
            "event at a time"
        )
    given = {
        "--base": (bool(options.base), ("rest", "http", "http-v1")),
        "--stage": (options.stage is not None, ("rest", "http", "http-v1", "websocket")),
        "--route": (bool(options.routes), ("websocket",)),
        "--stream": (options.stream is not None, ("url", "rest")),
        "--hold-chunks": (options.hold_chunks, ("url",)),
    }
    for option, (is_given, names) in given.items():
        if is_given and (options.front_door or "url") not in names:
            raise click.UsageError(f"{option}: the chosen --front-door has no such option")


def put_under_limits(served: list[Served], terminal: Terminal) -> list[Served]:
    """The functions with the limits that this machine can enforce; says which it cannot."""
    config = served[0].config
    if config.limits is None:
        reason = "--debug" if config.debug else "--no-limits"
        terminal.note(f"{reason}: files can be written, and memory is not limited")
        return served
    known, missing = enforceable(config.limits)
    for each in missing:
        terminal.note(f"not enforced on this machine: {each}")

    def limited(config: FunctionConfig) -> FunctionConfig:
        wanted = config.limits or known
        limits = replace(wanted, mounts=known.mounts, memory=known.memory)
        return replace(config, limits=limits)

    return [replace(each, config=limited(each.config)) for each in served]


def tell_of_opt(served: list[Served], terminal: Terminal) -> None:
    """Say why layers are not at /opt, where a function has some, or a variable names a file there.

    Without this line the bootstrap's own error would be the first word of it, and it asks for a
    layer that is missing.
    """

    def looks_there(each: Served) -> bool:
        paths = ":".join(each.config.environment.values()).split(":")
        return bool(each.layers) or any(path.startswith("/opt/") for path in paths)

    reasons = (each.config.not_at_opt for each in served if looks_there(each))
    for reason in dict.fromkeys(filter(None, reasons)):
        terminal.note(f"the layers are not at /opt here: {reason}")


def tell_of_surprises(config: FunctionConfig, terminal: Terminal) -> None:
    """Name variables that the code seems to read and only the shell has, and code that is old."""
    names = env_file.only_in_shell(config.task_root, config.environment, os.environ)
    if names:
        some = f'{names[0]}="${names[0]}"'
        terminal.note(
            f"{', '.join(names)}: set in your shell, and not passed on to the function, as on "
            f"Lambda. To pass one on: --env {some}, or --env-file .env"
        )
    old = changed(config.task_root, inspected(config.python))
    if old:
        terminal.note(
            f"sources changed after lamella compile ({', '.join(old[:3])}; {len(old)} in all): "
            f"Python runs the old code. Run lamella compile {config.task_root} again, or remove "
            "the __pycache__ folders"
        )


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listening = bound_socket(port, host)
    except OSError as error:
        # socket.create_server adds the address to the reason, and the message has it already.
        reason = str(error.strerror).partition(" (while")[0]
        change = "choose another --host or --port"
        if error.errno == errno.EADDRINUSE:
            change = "end the program that listens there, or choose another --port"
        message = f"cannot listen on {host}:{port} ({reason}): {change}"
        raise click.ClickException(message) from error
    with listening:
        yield listening
