"""One `lamella run`: functions, their front doors, and what watches the code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import termios

from rich.markup import escape
from starlette.types import Receive, Scope, Send

from lamella.front_doors.delivery import Throttled
from lamella.local.config import FunctionConfig
from lamella.local.console.serving import console
from lamella.local.endpoints.cors import CorsGateway
from lamella.local.endpoints.gateway import Gateway
from lamella.local.endpoints.guard import Guard
from lamella.local.endpoints.invoke_api import InvokeApi
from lamella.local.endpoints.router import EVERYTHING, Router, Way
from lamella.local.endpoints.server import AnyGateway, LocalServer, is_loopback, origin_of
from lamella.local.endpoints.websockets.api import WebSocketApi, credentials_of
from lamella.local.endpoints.websockets.gateway import WebSocketGateway
from lamella.local.execution.function import LocalFunction
from lamella.local.execution.sandbox import Failure
from lamella.local.run.edits import Edits, shown
from lamella.local.run.options import Options
from lamella.local.run.project import Entrance, Served
from lamella.local.run.routes import routes_of
from lamella.local.run.terminal import Terminal
from lamella.local.run.welcome import to_try, welcome
from lamella.local.waits import first_of


class Session:
    """One `lamella run`, from the first environment to the last signal."""

    def __init__(
        self,
        options: Options,
        served: list[Served],
        listening: socket.socket,
        terminal: Terminal,
    ) -> None:
        self._options = options
        self._served = served
        self._terminal = terminal
        self._listening = listening
        self._functions = [self._function(each) for each in served]
        self._ways = [
            (function, entrance)
            for each, function in zip(served, self._functions, strict=True)
            for entrance in each.entrances
        ]
        folders = [each.config.task_root for each in served]
        self._edits = Edits(folders, options.watched) if options.reload else None
        self._refreshing = asyncio.Lock()
        self._debug = served[0].config.debug

    async def run(self) -> tuple[Failure, FunctionConfig] | None:
        """Serve until a signal; the error of the first environment's init, or None."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stopped.set)
        async with contextlib.AsyncExitStack() as stack:
            if self._debug and sys.stdin.isatty():
                # A debugger that is killed leaves the terminal as its line editor had it.
                modes = termios.tcgetattr(sys.stdin)
                stack.callback(termios.tcsetattr, sys.stdin, termios.TCSADRAIN, modes)
            for function in self._functions:
                await stack.enter_async_context(function)
            for function in self._functions:
                warming = asyncio.ensure_future(function.warm())
                await first_of(asyncio.wait([warming]), stopped.wait())
                if not warming.done():
                    return None
                if (failure := warming.result()) is not None:
                    return failure, function.config
            looking_on = ""
            if self._options.console:
                port = self._listening.getsockname()[1] + 1
                beside = console(self._functions, port, self._terminal.note)
                looking_on = await stack.enter_async_context(beside)
            await self._serve(stopped, looking_on)
            return None

    async def _serve(self, stopped: asyncio.Event, looking_on: str) -> None:
        gateways: list[Gateway | WebSocketGateway] = []
        ways: list[Way] = []
        invocations: list[InvokeApi] = []
        hosts = hosts_of(self._served)
        for function, entrance in self._ways:
            gateway = self._gateway(function, entrance)
            gateways.append(gateway)
            open_to: AnyGateway = gateway
            if entrance.cors is not None:
                open_to = CorsGateway(gateway, entrance.cors, self._terminal.event)
            invoked = InvokeApi(open_to, function, self._terminal.event, self._terminal.note)
            invocations.append(invoked)
            host, name = hosts[key_of(entrance)], function.config.name
            has_cors = entrance.cors is not None
            ways.append(Way(host, entrance.door, entrance.routes, name, invoked, has_cors))
        whole: AnyGateway = Router(ways, self._terminal.event)
        if len(ways) == 1 and EVERYTHING in ways[0].routes:
            whole = invocations[0]
        self._whole = whole
        addresses = not is_loopback(self._options.host)
        guard = Guard(self, self._options.public_hosts, self._terminal.note, addresses)
        websockets = any(isinstance(way.door, WebSocketApi) for way in ways)
        server = LocalServer(guard, self._listening, websockets=websockets)
        self._greet(hosts)
        if looking_on:
            self._terminal.show(f"{looking_on}   shows each invocation\n")
        serving = asyncio.ensure_future(server.serve())
        reloading = asyncio.ensure_future(self._reload(stopped))
        await first_of(stopped.wait(), asyncio.wait([serving]))
        self._terminal.note("stopping")
        for each in (*invocations, *gateways):
            await each.close()
        server.stop()
        await serving
        stopped.set()
        await reloading

    def _function(self, served: Served) -> LocalFunction:
        config = served.config
        websockets = any(isinstance(each.door, WebSocketApi) for each in served.entrances)
        return LocalFunction(
            config,
            concurrency=1 if config.debug else self._options.concurrency,
            spread=self._options.spread or (2 if websockets and not config.debug else 1),
            log=self._terminal.written,
            lambda_log=self._terminal.lambda_line,
        )

    def _gateway(self, function: LocalFunction, entrance: Entrance) -> Gateway | WebSocketGateway:
        door, config, report = entrance.door, function.config, self._terminal.event
        if not isinstance(door, WebSocketApi):
            return Gateway(function, door, report)
        credentials = credentials_of(config.environment)
        return WebSocketGateway(function, door, report, credentials, config.region)

    def _greet(self, hosts: dict[str, str]) -> None:
        """Say what is where, and what to try."""
        port = self._listening.getsockname()[1]
        app, alone = self._served[0].app, len(self._ways) == 1
        for key, host in hosts.items():
            here = [way for way in self._ways if key_of(way[1]) == key]
            _, first = here[0]
            origin = f"http://{host}:{port}" if host else origin_of(self._listening)
            for line in welcome(app if alone else first.name, first.door, origin):
                self._terminal.show(line)
            for function, entrance in here if not alone else ():
                for method, path in entrance.routes:
                    self._terminal.show(escape(f"  {method} {path} -> {function.config.name}"))
        if self._edits is not None:
            watched = ", ".join(map(shown, self._edits.paths))
            self._terminal.show(f"\nwatching {escape(watched)} for changes\n")
        if alone:
            ((function, entrance),) = self._ways
            config = function.config
            one_line = config.handler.removeprefix("lamella.serve.")
            routes = routes_of(config.task_root, config.environment.get("ASGI_APP", one_line))
            door, origin = entrance.door, origin_of(self._listening)
            for line in to_try(door, origin, self._options.tries, routes):
                self._terminal.show(escape(line))
        self._terminal.show("")

    async def _reload(self, stopped: asyncio.Event) -> None:
        if self._edits is None:
            return
        async for _ in self._edits.told(stopped):
            await self._refresh(self._edits)

    async def _refresh(self, edits: Edits) -> None:
        """Start the functions anew if something was edited."""
        async with self._refreshing:
            if not (paths := edits.taken()):
                return
            self._terminal.note(f"{paths} changed: the function starts anew")
            for function in self._functions:
                await function.replace()
                with contextlib.suppress(Throttled):  # all are busy: the next event starts one
                    if (failure := await function.warm()) is not None:
                        words = f"{failure.error_type}: {failure.message}"
                        self._terminal.note(f"it does not start: {words}")

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, to the code as it is now."""
        if self._edits is not None and self._edits.quick:
            await self._refresh(self._edits)
        await self._whole.app(scope, receive, send)


def key_of(entrance: Entrance) -> str:
    """What tells front doors apart: an API is one, whatever functions are behind it."""
    return f"{entrance.door.name} {entrance.name}"


def hosts_of(served: list[Served]) -> dict[str, str]:
    """A host for each front door: any ("") for the first API, or the first door, and a name below
    localhost for each other one, since a Function URL has a host of its own on AWS as well."""
    entrances = [each for one in served for each in one.entrances]
    entrances.sort(key=lambda each: each.door.name == "url")  # stable: APIs first
    hosts: dict[str, str] = {}
    for each in entrances:
        hosts.setdefault(key_of(each), f"{each.name.lower()}.localhost" if hosts else "")
    return hosts
