"""Real servers of the stores, Redis and PostgreSQL, and a proxy that may stand before a server.

They are Debian's packages `redis-server` and `postgresql`, run as processes of the tests on free
ports of the loopback interface.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

PASSWORD = "s3cret-of-the-store"
READY = 30.0
"""Seconds that a server may take to start, or to end."""


def program(name: str, package: str) -> str:
    """The path of a server program; Debian keeps PostgreSQL's off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    if found is None:
        pytest.skip(f"NOT TESTED: there is no {name} on this machine; apt-get install {package}")
    return found


class Server:
    """A process that serves `port`, and can be ended and started again."""

    def __init__(
        self, port: int, command: list[str], ready: Callable[[], bool], **options: Any
    ) -> None:
        self.port = port
        self._command = command
        self._ready = ready
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=null, stderr=null, **self._options)
        end = time.monotonic() + READY
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                pytest.fail(f"{self._command[0]} did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once: SIGQUIT is PostgreSQL's immediate shutdown, and kills Redis."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(READY)


@contextlib.contextmanager
def redis_server() -> Iterator[Server]:
    """Redis with a password."""
    port = free_port()
    command = [program("redis-server", "redis-server"), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--requirepass", PASSWORD, "--save", "", "--appendonly", "no", "--dir", "/tmp"]
    with running(Server(port, command, lambda: _listens(port))) as server:
        yield server


@contextlib.contextmanager
def postgresql_server() -> Iterator[Server]:
    """PostgreSQL with the superuser `lamella` and the database `postgres`."""
    port = free_port()
    initdb, postgres, is_ready = (
        program(name, "postgresql") for name in ("initdb", "postgres", "pg_isready")
    )
    user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="lamella-pg-") as folder:
        (Path(folder) / "password").write_text(PASSWORD)
        for path in (Path(folder), Path(folder) / "password"):
            os.chown(path, user.get("user", -1), user.get("group", -1))
        data = f"{folder}/data"
        options = ["--auth=scram-sha-256", f"--pwfile={folder}/password", "--username=lamella"]
        options += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run([initdb, data, *options], capture_output=True, text=True, **user)
        assert done.returncode == 0, done.stderr
        command = [postgres, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        command += ["-c", "fsync=off", "-c", "max_connections=30", "-c", "shared_buffers=16MB"]
        question = [is_ready, "-q", "-h", "127.0.0.1", "-p", str(port)]
        server = Server(port, command, lambda: subprocess.run(question).returncode == 0, **user)
        with running(server):
            yield server


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _unprivileged() -> dict[str, Any]:
    """What makes a process of root another user's: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    entries = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = entries.get("postgres") or entries["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


class Proxy:
    """Stands before a server on loopback; can hold back what it hears, lose an answer, be gone.

    `opened` counts the connections.
    """

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._losing = False
        self._forgotten = 0
        self.opened = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Proxy:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self) -> None:
        """Be there, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def vanish(self) -> None:
        """Reset every connection, and refuse others."""
        if self._server is not None:
            self._server.close()
            self.reset()
            await self._server.wait_closed()
            self._server = None

    def reset(self) -> None:
        """Break every connection off."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def hold(self) -> None:
        """Take what comes, and pass nothing on."""
        self._flowing.clear()

    def lose(self) -> None:
        """Break off, instead of passing on, when the server next says something."""
        self._losing = True

    def lead_to(self, port: int) -> None:
        """Let new connections lead to another server."""
        self._behind = port

    def forget(self) -> None:
        """Pass nothing on any more over the connections that are open, and do not say so."""
        self._forgotten = self.opened

    def flow(self) -> None:
        """Pass everything on again."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        self.opened += 1
        number = self.opened
        with contextlib.suppress(OSError):
            await self._flowing.wait()
            behind = await asyncio.open_connection("127.0.0.1", self._behind)
            self._writers.add(behind[1])
            await asyncio.gather(
                self._pump(number, reader, behind[1]),
                self._pump(number, behind[0], writer, says=True),
            )

    async def _pump(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        says: bool = False,
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._flowing.wait()
                if number <= self._forgotten:
                    continue
                if says and self._losing:
                    self._losing = False
                    return
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()
