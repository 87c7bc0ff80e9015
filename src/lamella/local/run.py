"""`lamella run`: a function, its layer and a front door on http://127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from watchfiles import PythonFilter, awatch

from lamella.front_doors import FrontDoor, FunctionUrl, HttpApi, Lattice, LoadBalancer, RestApi
from lamella.local.config import FunctionConfig
from lamella.local.function import LocalFunction
from lamella.local.gateway import Gateway
from lamella.local.interpreter import InterpreterError, inspected
from lamella.local.layer import LayerError, opened_layer
from lamella.local.sandbox import Failure
from lamella.local.server import LocalServer, bound_socket, origin_of
from lamella.local.waits import first_of
from lamella.local.websockets.api import WebSocketApi, credentials_of, path_header, with_websockets
from lamella.local.websockets.gateway import WebSocketGateway
from lamella.local.welcome import SOURCES, headline, lines_to_try

Door = FrontDoor | WebSocketApi


@dataclass(frozen=True)
class Options:
    """The command line, checked by click."""

    app: str
    front_door: str
    port: int
    layer: Path | None
    task_root: Path
    python: str
    env: tuple[str, ...]
    timeout: float
    memory: int
    concurrency: int
    freeze: bool
    reload: bool
    stage: str | None
    base: str
    stream: bool | None
    multi_value: bool
    binary: tuple[str, ...]
    routes: tuple[str, ...]
    spread: int | None
    tries: tuple[str, ...]
    managed: int | None
    snap_start: bool


@click.command()
@click.argument("app", metavar="PACKAGE.MODULE:APP")
@click.option(
    "--front-door", default="url", show_default=True, type=click.Choice(list(SOURCES)),
    help="The event source that the function is behind.",
)  # fmt: skip
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1; 0 picks one.")
@click.option("--layer", type=click.Path(path_type=Path), help="Lamella's layer, zip or directory.")
@click.option(
    "--task-root", type=click.Path(path_type=Path), default=Path("."), show_default=True,
    help="The function's code, as /var/task.",
)  # fmt: skip
@click.option("--python", default=sys.executable, help="The interpreter of the function.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable of the function.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds for one invocation.")
@click.option("--memory", default=512, show_default=True, help="MB; reported, not enforced.")
@click.option("--concurrency", default=10, show_default=True, help="Most environments at a time.")
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
@click.option("--reload/--no-reload", default=True, help="New environments when code changes.")
@click.option("--stage", help='Stage of rest and websocket ("prod"), or http ("$default").')
@click.option("--base", default="", help="Base path of a custom domain, for rest and http.")
@click.option("--stream/--no-stream", default=None, help="Streamed answers: url (on), rest (off).")
@click.option("--multi-value", is_flag=True, help="alb: multi-value headers enabled.")
@click.option(
    "--binary", multiple=True, default=["*/*"], show_default=True, metavar="TYPE",
    help="rest: one of the API's binaryMediaTypes.",
)  # fmt: skip
@click.option(
    "--route", "routes", multiple=True, metavar="KEY",
    help="websocket: a route key, for messages whose JSON has it as `action`.",
)  # fmt: skip
@click.option("--try", "tries", multiple=True, metavar="PATH", help="Paths for the curl lines.")
def run(**options: Any) -> None:
    """Run an ASGI application on a Lambda on this machine.

    Needs neither Docker nor an AWS account. Without --layer it takes
    dist/lamella-layer.zip, and else the layer of the package lamella-layer.
    """
    chosen = Options(**options)
    console = Console(highlight=False, soft_wrap=True)
    with contextlib.ExitStack() as stack:
        try:
            layer = stack.enter_context(opened_layer(chosen.layer))
        except LayerError as error:
            raise click.ClickException(str(error)) from error
        door = make_door(chosen)
        config = make_config(chosen, layer, door)
        listening = stack.enter_context(_listening(chosen.port))
        if isinstance(door, WebSocketApi):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lamella-websocket-"))
            endpoint = door.endpoint(origin_of(listening))
            variables = with_websockets(config.environment, endpoint, Path(folder))
            config = replace(config, environment=variables)
        failure = asyncio.run(_Session(chosen, config, door, listening, console).run())
    if failure is not None:
        raise click.ClickException(_explained(failure))


def make_door(options: Options) -> Door:
    """The chosen front door. Raises click.UsageError for options that it does not have."""
    if options.managed is not None and options.snap_start:
        raise click.UsageError("--managed and --snap-start: Lambda allows one of the two")
    if options.managed is not None and options.spread is not None:
        raise click.UsageError(
            "--managed and --spread: on managed instances one environment has all events"
        )
    name, base = options.front_door, options.base.strip("/")
    _refuse(bool(base) and name not in ("rest", "http"), "--base")
    _refuse(options.stage is not None and name not in ("rest", "http", "websocket"), "--stage")
    _refuse(bool(options.routes) and name != "websocket", "--route")
    _refuse(options.stream is not None and name not in ("url", "rest"), "--stream")
    _refuse(options.multi_value and name != "alb", "--multi-value")
    prefix = f"/{base}" if base else ""
    doors: dict[str, Callable[[], Door]] = {
        "url": lambda: FunctionUrl(options.stream is not False),
        "rest": lambda: RestApi(
            options.stage or "prod", prefix, bool(options.stream), options.binary
        ),
        "http": lambda: HttpApi(options.stage or "$default", prefix),
        "alb": lambda: LoadBalancer(options.multi_value),
        "lattice": lambda: Lattice(),
        "websocket": lambda: WebSocketApi(
            options.stage or "prod", options.routes, path_header(user_variables(options))
        ),
    }
    return doors[name]()


def user_variables(options: Options) -> dict[str, str]:
    """What --env says. Raises click.ClickException for what is not NAME=VALUE."""
    return dict(_variable(text) for text in options.env)


def make_config(options: Options, layer: Path, door: Door) -> FunctionConfig:
    """The function's configuration. Raises click.ClickException for what is not there."""
    if not options.task_root.is_dir():
        raise click.ClickException(f"--task-root {options.task_root} is not a directory")
    try:
        python = inspected(options.python)
    except InterpreterError as error:
        raise click.ClickException(str(error)) from error
    variables = user_variables(options)
    variables["ASGI_APP"] = options.app
    variables.setdefault("ASGI_INVOKE_MODE", "response_stream" if door.streaming else "buffered")
    return FunctionConfig(
        task_root=options.task_root.resolve(),
        wrapper=layer / "bootstrap",
        python=python.path,
        environment=variables,
        memory=options.memory,
        timeout=options.timeout,
        freeze=options.freeze,
        max_concurrency=options.managed,
        snap_start=options.snap_start,
    )


class _Session:
    """One `lamella run`, from the first environment to the last signal."""

    def __init__(
        self,
        options: Options,
        config: FunctionConfig,
        door: Door,
        listening: socket.socket,
        console: Console,
    ) -> None:
        self._options = options
        self._door = door
        self._console = console
        spread = options.spread or (2 if isinstance(door, WebSocketApi) else 1)
        self._function = LocalFunction(
            config, concurrency=options.concurrency, spread=spread, log=self._print
        )
        self._listening = listening

    async def run(self) -> Failure | None:
        """Serve until a signal; the error of the first environment's init, or None."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stopped.set)
        async with self._function:
            warming = asyncio.ensure_future(self._function.warm())
            await first_of(_settled(warming), stopped.wait())
            if not warming.done():
                return None
            if (failure := warming.result()) is not None:
                return failure
            await self._serve(stopped)
            return None

    async def _serve(self, stopped: asyncio.Event) -> None:
        websocket = isinstance(self._door, WebSocketApi)
        gateway = self._gateway()
        server = LocalServer(gateway, self._listening, websockets=websocket)
        self._welcome(server.origin)
        serving = asyncio.ensure_future(server.serve())
        reloading = asyncio.ensure_future(self._reload(stopped))
        await first_of(stopped.wait(), _settled(serving))
        self._print("stopping")
        await gateway.close()
        server.stop()
        await serving
        stopped.set()
        await reloading

    def _gateway(self) -> Gateway | WebSocketGateway:
        if isinstance(self._door, WebSocketApi):
            config = self._function.config
            signing = credentials_of(config.environment), config.region
            return WebSocketGateway(self._function, self._door, self._print, *signing)
        return Gateway(self._function, self._door, self._print)

    async def _reload(self, stopped: asyncio.Event) -> None:
        if not self._options.reload:
            return
        root = self._function.config.task_root
        # Only code: a function that logs or stores into its own directory must not reload itself.
        async for changes in awatch(root, watch_filter=PythonFilter(), stop_event=stopped):
            names = ", ".join(sorted({Path(path).name for _, path in changes})[:3])
            self._print(f"{names} changed: the next event gets a new environment")
            await self._function.replace()

    def _welcome(self, origin: str) -> None:
        url = self._door.base_url(origin)
        self._console.print(f"\n[bold]{self._options.app}[/] {headline(self._door)}")
        self._console.print(f"[bold green]{url}[/]   (Ctrl-C stops)\n")
        if self._options.reload:
            root = self._function.config.task_root
            self._console.print(f"watching {root} for changes of code\n", markup=False)
        for line in lines_to_try(self._door, origin, self._options.tries):
            self._console.print(f"  {line}", markup=False)
        self._console.print()

    def _print(self, line: str) -> None:
        # awslambdaric breaks the lines of one record with a carriage return; rich would expand
        # the tabs of Lambda's log lines.
        self._console.file.write(line.replace("\r", "\n") + "\n")
        self._console.file.flush()


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listening = bound_socket(port)
    except OSError as error:
        message = f"cannot listen on 127.0.0.1:{port} ({error.strerror}): choose another --port"
        raise click.ClickException(message) from error
    with listening:
        yield listening


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.ClickException(f"--env {text!r} is not of the form NAME=VALUE")
    return name, value


def _refuse(wrong: bool, option: str) -> None:
    if wrong:
        raise click.UsageError(f"{option}: the chosen --front-door has no such option")


def _explained(failure: Failure) -> str:
    message = f"the function does not start: {failure.error_type}: {failure.message}"
    if failure.exit_code is None:
        return message
    return f"{message} (exit code {failure.exit_code})"


async def _settled(task: asyncio.Future[Any]) -> None:
    await asyncio.wait([task])
