"""One `lamella run`: the function, its front door, and what watches the code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import termios

from rich.markup import escape

from lamella.local.config import FunctionConfig
from lamella.local.edits import Edits
from lamella.local.function import LocalFunction
from lamella.local.gateway import Gateway
from lamella.local.guard import Guard
from lamella.local.invoke_api import InvokeApi
from lamella.local.options import Door, Options
from lamella.local.routes import routes_of
from lamella.local.sandbox import Failure
from lamella.local.server import LocalServer
from lamella.local.terminal import Terminal
from lamella.local.waits import first_of
from lamella.local.websockets.api import WebSocketApi, credentials_of
from lamella.local.websockets.gateway import WebSocketGateway
from lamella.local.welcome import to_try, welcome


class Session:
    """One `lamella run`, from the first environment to the last signal."""

    def __init__(
        self,
        options: Options,
        config: FunctionConfig,
        door: Door,
        listening: socket.socket,
        terminal: Terminal,
    ) -> None:
        self._options = options
        self._door = door
        self._terminal = terminal
        spread = options.spread or (2 if isinstance(door, WebSocketApi) and not config.debug else 1)
        self._function = LocalFunction(
            config,
            concurrency=1 if config.debug else options.concurrency,
            spread=spread,
            log=terminal.written,
            lambda_log=terminal.lambda_line,
        )
        self._listening = listening
        self._edits = Edits(config.task_root, options.watched) if options.reload else None

    async def run(self) -> Failure | None:
        """Serve until a signal; the error of the first environment's init, or None."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stopped.set)
        async with self._function, contextlib.AsyncExitStack() as stack:
            if self._function.config.debug and sys.stdin.isatty():
                # A debugger that is killed leaves the terminal as its line editor had it.
                modes = termios.tcgetattr(sys.stdin)
                stack.callback(termios.tcsetattr, sys.stdin, termios.TCSADRAIN, modes)
            warming = asyncio.ensure_future(self._function.warm())
            await first_of(asyncio.wait([warming]), stopped.wait())
            if not warming.done():
                return None
            if (failure := warming.result()) is not None:
                return failure
            await self._serve(stopped)
            return None

    async def _serve(self, stopped: asyncio.Event) -> None:
        door, config = self._door, self._function.config
        gateway: Gateway | WebSocketGateway
        if isinstance(door, WebSocketApi):
            credentials = credentials_of(config.environment)
            gateway = WebSocketGateway(
                self._function, door, self._terminal.event, credentials, config.region
            )
        else:
            gateway = Gateway(self._function, door, self._terminal.event)
        invocations = InvokeApi(gateway, self._function, self._terminal.note)
        guard = Guard(invocations, self._options.public_hosts, self._terminal.note)
        websockets = isinstance(door, WebSocketApi)
        server = LocalServer(guard, self._listening, websockets=websockets)
        for line in welcome(self._options.app, door, server.origin):
            self._terminal.show(line)
        if self._edits is not None:
            watched = ", ".join(map(str, self._edits.paths))
            self._terminal.show(f"watching {escape(watched)} for changes\n")
        routes = routes_of(config.task_root, self._options.app)
        for line in to_try(door, server.origin, self._options.tries, routes):
            self._terminal.show(escape(line))
        self._terminal.show("")
        serving = asyncio.ensure_future(server.serve())
        reloading = asyncio.ensure_future(self._reload(stopped))
        await first_of(stopped.wait(), asyncio.wait([serving]))
        self._terminal.note("stopping")
        await invocations.close()
        await gateway.close()
        server.stop()
        await serving
        stopped.set()
        await reloading

    async def _reload(self, stopped: asyncio.Event) -> None:
        if self._edits is None:
            return
        async for paths in self._edits.edited(stopped):
            self._terminal.note(f"{paths} changed: the function starts anew")
            await self._function.replace()
            if (failure := await self._function.warm()) is not None:
                self._terminal.note(f"it does not start: {failure.error_type}: {failure.message}")
