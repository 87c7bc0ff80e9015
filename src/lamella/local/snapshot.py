"""SnapStart: a snapshot of an initialised environment, and environments restored from it.

On AWS the snapshot is the memory of a whole machine. Here it is a process that hangs in
/restore/next, stopped by SIGSTOP for good, and each restored environment is a fork of it
(clone_hook.py), made without a single step of the application in between. What is as on AWS:

- init runs once; what the process knew then, each clone knows (objects, the state of `random`,
  an event loop and its tasks), and what it generates from that alone is the same in each;
- every clone is answered in the same /restore/next, and has its own standard output, session,
  Runtime API (at the address that the variable names) and connections to it;
- all other TCP connections are dead when it wakes up.

What is not: a clone has another process id; it has the main thread only, so a snapshot with more
threads is said to have them in the log; files and pipes that were open are shared with the other
clones; an event loop other than asyncio's may not survive; and no kernel but Linux can do it.
The time between snapshot and restore is real, but no clock is set back.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shlex
import signal
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from lamella.local import clone_hook
from lamella.local.adopted import Adopted, is_stopped, owner
from lamella.local.api import Api
from lamella.local.api_server import ApiServer
from lamella.local.config import FunctionConfig
from lamella.local.extensions import Extensions
from lamella.local.http11 import Connection
from lamella.local.process import LineCallback, RuntimeProcess
from lamella.local.report import init_report_line
from lamella.local.runtime_api import RuntimeApi
from lamella.local.sandbox import Failure, Sandbox
from lamella.local.traffic import Traffic
from lamella.local.waits import first_of

FORK_LIMIT = 5.0
"""Seconds in which a stopped process answers a signal with a fork."""

RESTORE_LIMIT = 10.0
"""Seconds from the restore to the first /next, hooks included,
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html."""

NOT_LINUX = (
    "SnapStart is played with Linux's fork, epoll and /proc, and this system is {}: "
    "leave it out here, or run it in a Linux container"
)


class Snapshot:
    """`start()` runs init up to /restore/next, `restore` makes environments, `stop()` ends it.

    To be stopped after its clones, whose connections it accepts. Raises OSError where this
    system cannot do it.
    """

    def __init__(self, config: FunctionConfig, traffic: Traffic, log: LineCallback) -> None:
        if sys.platform != "linux":
            raise OSError(NOT_LINUX.format(sys.platform))
        self._config = config
        self._traffic = traffic
        self._log = log
        self._turn = asyncio.Lock()
        self._template: _Template | None = None
        self._initialising = False
        self._failure: Failure | None = None
        self._line: socket.socket | None = None
        self._clones: dict[int, ApiServer] = {}

    async def start(self) -> Failure | None:
        """Run init and take the snapshot, once; why it failed, or None."""
        async with self._turn:
            if self._template is None:
                self._log("INIT_START Runtime Version: local")
                self._template = _Template(self._config, self._traffic, self._log)
                self._line = _listening(self._template.control)
                self._failure = await self._init(self._template)
            return self._failure

    async def _init(self, template: _Template) -> Failure | None:
        started = time.monotonic()
        self._initialising = True
        failure = await template.init(self._config.init_limit)
        self._initialising = False
        if failure is None:
            template.server.claim = self._claim
            self._warn(template)
        else:
            await template.stop()
            duration = time.monotonic() - started
            self._log(init_report_line(duration, failure.status, failure.error_type))
        return failure

    async def restore(self, traffic: Traffic, log: LineCallback) -> tuple[Api, RuntimeProcess]:
        """A running clone and its API, which answers /restore/next.

        Raises OSError when the snapshot does not answer.
        """
        template = self._template
        if template is None or self._failure is not None:
            raise OSError("there is no snapshot to restore: start() failed or was not called")
        async with self._turn:
            line = await self._fork(template)
        with line, contextlib.ExitStack() as given:
            pid = _peer_pid(line)
            server = ApiServer(template.server.address)
            extensions = template.extensions.restored()
            api = RuntimeApi(self._config, traffic, server, extensions, restoring=True)
            self._clones[pid] = server
            outputs = [await _pipe(given) for _ in range(2)]
            process = await RuntimeProcess.hold(Adopted(pid), [r for r, _ in outputs], log)
            waiting = [c for c in template.server.connections if _waits(c)]
            ends = [given.enter_context(await _reconnect(c, server)) for c in waiting]
            ports = [connection.client for connection in waiting]
            fds = [w.fileno() for _, w in outputs] + [end.fileno() for end in ends]
            socket.send_fds(line, [" ".join(map(str, ports)).encode() + b"\n"], fds)
            return api, process

    def forget(self, pid: int | None) -> None:
        """A clone has ended."""
        self._clones.pop(pid or 0, None)

    async def cancel(self) -> None:
        """Do not wait for an init that still runs: it fails."""
        if self._initialising and self._template is not None:
            await self._template.stop()

    async def stop(self) -> None:
        """End the snapshot's process."""
        async with self._turn:
            if self._line is not None:
                self._line.close()
            if self._template is not None:
                await self._template.stop()

    async def _fork(self, template: _Template) -> socket.socket:
        """Wake the snapshot up for a fork; the control line to the clone."""
        if template.pid is None or self._line is None:
            raise OSError("the snapshot was stopped")
        # A process that is about to stop would lose its SIGSTOP to our SIGCONT.
        await first_of(_stopped(template.pid), template.exited(), timeout=FORK_LIMIT)
        _signal_main_thread(template.pid, clone_hook.CLONE)
        os.kill(template.pid, signal.SIGCONT)
        accepted: list[socket.socket] = []
        waits = (_accept(self._line, accepted), template.exited())
        await first_of(*waits, timeout=FORK_LIMIT)
        if not accepted:
            raise OSError(
                f"the snapshot (process {template.pid}) does not fork: SnapStart needs a wrapper "
                "that starts the interpreter it is given, as Lamella's bootstrap does"
            )
        [line] = accepted
        line.setblocking(True)
        return line

    def _claim(self, port: int) -> ApiServer | None:
        """Which clone a new connection comes from; the snapshot itself is stopped."""
        if self._template is None:
            return None
        address = self._template.server.address
        pid = owner(port, int(address.rpartition(":")[2]), self._clones)
        return None if pid is None else self._clones[pid]

    def _warn(self, template: _Template) -> None:
        threads = len(os.listdir(f"/proc/{template.pid}/task"))
        if threads > 1:
            self._log(
                f"The snapshot has {threads} threads. On AWS all of them are restored; here a "
                "restored environment has the main one only."
            )


class _Template(Sandbox):
    """The process that is the snapshot; `control` is the socket that clones connect to."""

    def __init__(self, config: FunctionConfig, traffic: Traffic, on_line: LineCallback) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lamella-snapshot-")
        self.control = f"{self._folder.name}/control"
        words = (config.python, clone_hook.__file__, self.control)
        python = Path(self._folder.name) / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        python.chmod(0o755)
        wrapper, _, *rest = config.argv
        super().__init__(config, traffic, on_line, (wrapper, str(python), *rest))

    @property
    def server(self) -> ApiServer:
        """The server that listens for the snapshot and for all its clones."""
        return self._api.server

    @property
    def extensions(self) -> Extensions:
        """Those that registered before the snapshot."""
        return self._api.extensions

    async def exited(self) -> None:
        """Wait for the end of the process."""
        await self._running().exited()

    async def stop(self) -> None:
        self._stopping.set()
        if self._process is not None:
            await self._process.stop()  # a snapshot is thrown away, not shut down
        await self._api.server.close()
        self._folder.cleanup()

    def _freeze(self) -> None:
        self._running().freeze()


def _signal_main_thread(pid: int, number: int) -> None:
    # A stopped process's signal may go to any thread, but only the main one runs Python's handlers.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "tgkill"):
        libc.tgkill(pid, pid, number)
    else:
        os.kill(pid, number)


def _listening(control: str) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.bind(control)
    line.listen(1)
    line.setblocking(False)
    return line


async def _stopped(pid: int) -> None:
    while not is_stopped(pid):  # noqa: ASYNC110  # no event tells a process's state
        await asyncio.sleep(0.001)


async def _accept(line: socket.socket, accepted: list[socket.socket]) -> None:
    accepted.append((await asyncio.get_running_loop().sock_accept(line))[0])


def _waits(connection: Connection) -> bool:
    return connection.exchange.status is None and connection.exchange.method == "GET"


def _peer_pid(line: socket.socket) -> int:
    credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


async def _reconnect(connection: Connection, server: ApiServer) -> socket.socket:
    """A process's end of a connection to `server`, over which it has asked what it waits for
    on `connection`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await server.adopt(ours, connection.head())
    return theirs


async def _pipe(stack: contextlib.ExitStack) -> tuple[asyncio.StreamReader, BinaryIO]:
    """A pipe: our reading end, and the writing end, which `stack` closes."""
    reading, writing = os.pipe()
    given = stack.enter_context(os.fdopen(writing, "wb"))
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb"))
    return reader, given
