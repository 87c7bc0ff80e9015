"""A Runtime API that misbehaves as it is told, and the layer's process that has to live with it.

Every reply is a list of steps: bytes to send, `PAUSE`, and at its end `CLOSE` or `RESET` where the
connection is not kept. Lambda's own Runtime API does none of this: a network in between would,
and a bug in either would look like it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.attack import Attack, Broken
from tests.chaos.layer import FUNCTION

PAUSE = "pause"  # so that the bytes before it arrive alone
CLOSE = "close"  # the end of the connection
RESET = "reset"  # the same without waiting for what is under way

Steps = list[bytes | str]

ACCEPTED: Steps = [b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"]
PATIENCE = 15.0  # seconds for what takes a moment


@dataclass
class Turn:
    """One invocation: what each /next and each POST is answered with.

    /next gets the replies of `lost`, which break off, until none is left, and then `told`. A
    POST gets the next of `posts`, and a plain 202 when none is left.
    """

    request_id: str
    event: bytes
    told: Steps
    lost: deque[Steps] = field(default_factory=deque)
    posts: deque[Steps] = field(default_factory=deque)
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    """The POSTs: the end of their path, and their body without its transfer coding."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class HostileApi:
    """Hands out turns, first come, first served, and keeps what was posted for each."""

    def __init__(self) -> None:
        self.turns: dict[str, Turn] = {}
        self.strangers: list[str] = []  # requests that no runtime should make
        self.waiting = 0  # slots that wait for a turn
        self._next: asyncio.Queue[Turn] = asyncio.Queue()

    def add(self, turn: Turn) -> Turn:
        """Hand it out to the next slot that asks."""
        self.turns[turn.request_id] = turn
        self._next.put_nowait(turn)
        return turn

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the runtime's."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                body = await _body(reader, head.lower())
                method, path, _ = head.split(" ", 2)
                if not await self._answer(method, path, body, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def _answer(
        self,
        method: str,
        path: str,
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Answer one request; whether the connection is kept."""
        if path.endswith("/invocation/next"):
            turn = await self._turn(reader)
            if turn is None:
                return False
            if not turn.lost:
                return await _play(turn.told, writer)
            self._next.put_nowait(turn)  # to be handed out again: nobody will have got it
            return await _play(turn.lost.popleft(), writer)
        *_, request_id, end = path.split("/")
        if method == "POST" and (found := self.turns.get(request_id)) is not None:
            found.answers.append((end, body))
            kept = await _play(found.posts.popleft() if found.posts else ACCEPTED, writer)
            found.answered.set()
            return kept
        if not path.startswith("/2020-01-01/extension/"):
            self.strangers.append(f"{method} {path} {body[:200]!r}")
        if path.endswith("/extension/event/next"):
            await reader.read()
        register = (
            b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 1\r\nContent-Length: 2\r\n\r\n{}"
        )
        return await _play([register], writer)

    async def _turn(self, reader: asyncio.StreamReader) -> Turn | None:
        """The next turn, None where the runtime has hung up meanwhile."""
        self.waiting += 1
        turn = asyncio.ensure_future(self._next.get())
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({turn, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waiting -= 1
            gone.cancel()
            await asyncio.wait({gone})
        if gone.cancelled():
            return await turn
        if turn.done():
            self._next.put_nowait(turn.result())
        turn.cancel()
        return None


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    if "transfer-encoding: chunked" not in head:
        length = head.partition("content-length:")[2].partition("\r\n")[0]
        return await reader.readexactly(int(length or 0))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return body


async def _play(steps: Steps, writer: asyncio.StreamWriter) -> bool:
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step is PAUSE:
            await asyncio.sleep(0.002)
        else:
            if step is RESET:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
    return True


class Runtime:
    """The layer's process, under a `HostileApi` at `api`."""

    def __init__(self, api: HostileApi, process: asyncio.subprocess.Process) -> None:
        self.api = api
        self.process = process
        self.log = b""

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it. Raises `Broken` where the process ends, or nothing happens for long."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if self.process.returncode is not None or time.monotonic() > end:
                raise Broken(f"{what}: {self._state()}\n{self.tail}")
            await asyncio.sleep(0.001)

    async def answered(self, turn: Turn) -> None:
        """Wait for the answer to a turn."""
        work = asyncio.ensure_future(turn.answered.wait())
        ended = asyncio.ensure_future(self.process.wait())
        await asyncio.wait({work, ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for each in (work, ended):
            each.cancel()
        if not turn.answered.is_set():
            raise Broken(f"no answer to {turn.event[:200]!r}: {self._state()}\n{self.tail}")

    def _state(self) -> str:
        status = self.process.returncode
        return "the process runs on" if status is None else f"the process ended with {status}"

    @property
    def tail(self) -> str:
        """The end of the log."""
        return self.log[-3000:].decode("utf-8", "replace")

    async def read_log(self) -> None:
        """Keep the log's end."""
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(65536):
            self.log = (self.log + data)[-100_000:]


@asynccontextmanager
async def running(
    attack: Attack, app: str, variables: Mapping[str, str], slots: int = 1
) -> AsyncIterator[Runtime]:
    """The layer around `app`, on managed instances where it has several `slots`."""
    api = HostileApi()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    environ = {
        "PATH": os.defpath,
        "ASGI_APP": app,
        "AWS_LAMBDA_RUNTIME_API": address,
        "LAMBDA_TASK_ROOT": str(FUNCTION),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    if slots > 1:
        environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "lambda-managed-instances"
        environ["AWS_LAMBDA_MAX_CONCURRENCY"] = str(slots)
    process = await asyncio.create_subprocess_exec(
        *(str(attack.opt / "bootstrap"), attack.python, "/var/runtime/bootstrap.py"),
        cwd=FUNCTION,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    runtime = Runtime(api, process)
    reading = asyncio.ensure_future(runtime.read_log())
    try:
        yield runtime
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.wait({reading}, timeout=1.0)
        reading.cancel()
        server.close()
