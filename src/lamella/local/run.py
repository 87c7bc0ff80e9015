"""`lamella run`: a function, its layer and a front door on http://127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lamella.front_doors import FunctionUrl, HttpApi, RestApi
from lamella.front_doors.names import FRONT_DOORS
from lamella.local import env_file
from lamella.local.config import FunctionConfig
from lamella.local.env_file import EnvFileError
from lamella.local.interpreter import InterpreterError, inspected, interpreter_for
from lamella.local.layer import LayerError, opened_layer
from lamella.local.limits import Limits, enforceable
from lamella.local.options import Door, Options
from lamella.local.server import bound_socket, origin_of
from lamella.local.session import Session
from lamella.local.terminal import Terminal
from lamella.local.websockets.api import WebSocketApi, path_header, with_websockets

DAY = 86_400
"""Seconds: no deadline that a debugger meets."""

MISSING_MODULE = """
The function runs on {0.python}, and its code is in {0.task_root}.
If the module is installed for another Python, name that one: --python .venv/bin/python
If it is in a folder of `sam build`, name that one: --task-root .aws-sam/build/Function"""

NAMES = [*(name for name in FRONT_DOORS if name != "edge"), "websocket"]
"""The front doors that can have a layer's function behind them: Lambda@Edge allows no layers."""


@click.command()
@click.argument("app", metavar="PACKAGE.MODULE:APP")
@click.option(
    "--front-door", default="url", show_default=True, type=click.Choice(NAMES),
    help="The event source that the function is behind.",
)  # fmt: skip
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(0, 65535),
    help="Port on 127.0.0.1; 0 picks one.",
)  # fmt: skip
@click.option(
    "--public-host", "public_hosts", multiple=True, metavar="NAME",
    help="A name besides localhost that Host and Origin headers may have, such as a tunnel's.",
)  # fmt: skip
@click.option("--layer", type=click.Path(path_type=Path), help="Lamella's layer, zip or directory.")
@click.option(
    "--task-root", type=click.Path(path_type=Path), default=Path("."), show_default=True,
    help="The function's code, as /var/task.",
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
    "--timeout", default=30.0, show_default=True, type=click.FloatRange(0, 900, min_open=True),
    help="Seconds for one invocation.",
)  # fmt: skip
@click.option(
    "--memory", default=512, show_default=True, type=click.IntRange(128, 32768),
    help="MB; a function that uses more is killed.",
)  # fmt: skip
@click.option(
    "--concurrency", default=10, show_default=True, type=click.IntRange(1),
    help="Most environments at a time.",
)  # fmt: skip
@click.option(
    "--spread", type=click.IntRange(1), metavar="N",
    help="Events take turns on at least so many environments: websocket (2), others (1).",
)  # fmt: skip
@click.option("--freeze/--no-freeze", default=True, help="Freeze the process between invocations.")
@click.option(
    "--managed", type=click.IntRange(1, 1600), metavar="N",
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
@click.option("--try", "tries", multiple=True, metavar="PATH", help="Paths for the curl lines.")
def run(**options: Any) -> None:
    """Run an ASGI application on a Lambda on this machine.

    Needs neither Docker nor an AWS account. Without --layer it takes
    dist/lamella-layer.zip, and else the layer of the package lamella-layer.
    """
    chosen = Options(**options)
    terminal = Terminal(lambda_logs=chosen.lambda_logs)
    with contextlib.ExitStack() as stack:
        try:
            layer = stack.enter_context(opened_layer(chosen.layer))
        except LayerError as error:
            raise click.ClickException(str(error)) from error
        check_options(chosen)
        door = make_door(chosen)
        if chosen.debug:
            door = without_deadline(door)
        config = make_config(chosen, layer, door)
        listening = stack.enter_context(_listening(chosen.port))
        if isinstance(door, WebSocketApi):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lamella-websocket-"))
            endpoint = door.endpoint(origin_of(listening))
            variables = with_websockets(config.environment, endpoint, Path(folder))
            config = replace(config, environment=variables)
            if config.limits is not None:
                config = replace(config, limits=replace(config.limits, writable=(Path(folder),)))
        config = put_under_limits(config, terminal)
        tell_of_shell(config, terminal)
        failure = asyncio.run(Session(chosen, config, door, listening, terminal).run())
    if failure is not None:
        message = f"the function does not start: {failure.error_type}: {failure.message}"
        exited = "" if failure.exit_code is None else f" (exit code {failure.exit_code})"
        hint = MISSING_MODULE.format(config) if "No module named" in failure.message else ""
        raise click.ClickException(message + exited + hint)


def check_options(options: Options) -> None:
    """Raises click.UsageError for options that do not go together."""
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
    }
    for option, (is_given, names) in given.items():
        if is_given and options.front_door not in names:
            raise click.UsageError(f"{option}: the chosen --front-door has no such option")


def make_door(options: Options) -> Door:
    """The chosen front door with its options."""
    name, base = options.front_door, options.base.strip("/")
    if name == "websocket":
        header = path_header(user_variables(options))
        return WebSocketApi(options.stage or "prod", options.routes, header)
    door, prefix = FRONT_DOORS[name](), f"/{base}" if base else ""
    if isinstance(door, FunctionUrl):
        return replace(door, streaming=options.stream is not False)
    if isinstance(door, RestApi):
        return RestApi(options.stage or "prod", prefix, bool(options.stream), options.binary)
    if isinstance(door, HttpApi):
        return replace(door, stage=options.stage or door.stage, base=prefix)
    return door


def user_variables(options: Options) -> dict[str, str]:
    """What --env-file and --env say, the last one first. Raises click.ClickException for what is
    not NAME=VALUE."""
    variables = {}
    for path in options.env_files:
        try:
            variables.update(env_file.read(path))
        except EnvFileError as error:
            raise click.ClickException(f"--env-file {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"--env-file {path} cannot be read: {error}") from error
    for text in options.env:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.ClickException(f"--env {text!r} is not of the form NAME=VALUE")
        variables[name] = value
    return variables


def make_config(options: Options, layer: Path, door: Door) -> FunctionConfig:
    """The function's configuration. Raises click.ClickException for what is not there."""
    if not options.task_root.is_dir():
        raise click.ClickException(f"--task-root {options.task_root} is not a directory")
    try:
        python = (
            interpreter_for(options.task_root)
            if options.python is None
            else inspected(options.python)
        )
    except InterpreterError as error:
        raise click.ClickException(str(error)) from error
    variables = user_variables(options)
    variables["ASGI_APP"] = options.app
    variables.setdefault("ASGI_INVOKE_MODE", "response_stream" if door.streaming else "buffered")
    variables.setdefault("AWS_LAMBDA_LOG_LEVEL", "INFO")
    variables.setdefault("ASGI_LOG_ACCESS", "off")  # there is a line for each request here
    config = FunctionConfig(
        task_root=options.task_root.resolve(),
        wrapper=layer / "bootstrap",
        python=python.path,
        environment=variables,
        memory=options.memory,
        timeout=options.timeout,
        freeze=options.freeze,
        max_concurrency=options.managed,
        snap_start=options.snap_start,
        limits=Limits() if options.limits else None,
    )
    if not options.debug:
        return config
    unhurried = {"ASGI_LIFESPAN_TIMEOUT": str(DAY), "ASGI_BACKGROUND_TIMEOUT": str(DAY)}
    return replace(
        config,
        environment={**unhurried, **variables},
        timeout=float(DAY),
        init_timeout=float(DAY),
        freeze=False,
        limits=None,
        debug=True,
    )


def without_deadline(door: Door) -> Door:
    """The same front door, which waits as long as a debugger does."""
    if isinstance(door, WebSocketApi):
        return replace(door, time_limit=DAY, idle_limit=DAY, life_limit=DAY)
    door.time_limit = None
    return door


def put_under_limits(config: FunctionConfig, terminal: Terminal) -> FunctionConfig:
    """The configuration with the limits that this machine can enforce; says which it cannot."""
    if config.limits is None:
        reason = "--debug" if config.debug else "--no-limits"
        terminal.note(f"{reason}: files can be written, and memory is not limited")
        return config
    limits, missing = enforceable(config.limits)
    for each in missing:
        terminal.note(f"not enforced on this machine: {each}")
    return replace(config, limits=limits)


def tell_of_shell(config: FunctionConfig, terminal: Terminal) -> None:
    """Name the variables that the function seems to read, and that only the shell has."""
    names = env_file.only_in_shell(config.task_root, config.environment, os.environ)
    if names:
        some = f'{names[0]}="${names[0]}"'
        terminal.note(
            f"{', '.join(names)}: set in your shell, and not passed on to the function, as on "
            f"Lambda. To pass one on: --env {some}, or --env-file .env"
        )


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listening = bound_socket(port)
    except OSError as error:
        message = f"cannot listen on 127.0.0.1:{port} ({error.strerror}): choose another --port"
        raise click.ClickException(message) from error
    with listening:
        yield listening
