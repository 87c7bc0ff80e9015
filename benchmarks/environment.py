"""One execution environment: a process, the Runtime API it asks, and what the kernel counts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64decode
from pathlib import Path
from typing import NamedTuple

from benchmarks import BenchmarkError
from benchmarks.api import TAKEN, Call, RuntimeApi
from benchmarks.ways import PORT, Site, commands, free_port, variables

PATIENCE = 60  # seconds for a process to make its next call
FUNCTION_TIMEOUT = 30  # seconds
_CPUCLOCK_SCHED = 2
_DELIMITER = b"\0" * 8  # between a streamed answer's prelude and its body


class Answer(NamedTuple):
    """What one invocation was answered, and when: monotonic seconds."""

    payload: bytes
    streamed: bool
    first_at: float
    at: float

    def body(self) -> bytes:
        """The body for the client. Raises `BenchmarkError` unless the status is 200."""
        if self.streamed:
            prelude, _, body = self.payload.partition(_DELIMITER)
            result = json.loads(prelude)
        else:
            result = json.loads(self.payload)
            text = result.get("body", "")
            body = b64decode(text) if result.get("isBase64Encoded") else text.encode()
        if result.get("statusCode") != 200:
            raise BenchmarkError(f"The function answered {self.payload[:500]!r}, not 200.")
        return body


class Environment:
    """Runs `app` in the way `way`; leaving the `with` block kills the process, as Lambda does."""

    def __init__(self, site: Site, way: str, app: str = "bare:app", **settings: str) -> None:
        self.way = way
        self._site = site
        self._app = app
        self._settings = settings
        self._waiting: Call | None = None  # the pending GET /next
        self._count = 0

    def __enter__(self) -> Environment:
        site = self._site
        self._api = RuntimeApi()
        environ = variables(self.way, site, self._app, self._api.address) | self._settings
        port = free_port()
        environ = {name: value.replace(PORT, port) for name, value in environ.items()}
        self.started_at = time.monotonic()
        self._processes = [
            subprocess.Popen(
                [word.replace(PORT, port) for word in argv],
                cwd=site.task,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
            )
            for argv in commands(self.way, site, self._app)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._api.close()

    @property
    def pids(self) -> list[int]:
        """The process ids."""
        return [process.pid for process in self._processes]

    def ready(self) -> float:
        """Wait until the process asks for an invocation; the monotonic time at which it did."""
        while self._waiting is None:
            call = self._call()
            if call.path.endswith("/invocation/next"):
                self._waiting = call
            elif call.path.endswith("/extension/register"):
                call.connection.reply(b"200 OK", b"Lambda-Extension-Identifier: 1\r\n", b"{}")
            elif not call.path.endswith("/extension/event/next"):  # that one is never answered
                raise self._unexpected(call)
        return self._waiting.at

    def invoke(self, event: bytes) -> Answer:
        """Hand out `event` (JSON) and wait for the whole answer."""
        self.ready()
        assert self._waiting is not None
        waiting, self._waiting = self._waiting, None
        self._count += 1
        waiting.connection.reply(b"200 OK", invocation_headers(self._count), event)
        call = self._call()
        if not call.path.endswith("/response"):
            raise self._unexpected(call)
        call.connection.reply(b"202 Accepted", b"", TAKEN)
        return Answer(call.body, "transfer-encoding" in call.headers, call.first_at, call.at)

    def cpu(self) -> float:
        """Seconds of CPU that the processes used so far, user and system.

        A process's own clock (clock_getcpuclockid(3)) counts in nanoseconds, and it counts
        threads that have ended: awslambdaric makes one for each invocation from Python 3.12 on.
        Child processes that have ended count by ticks of 10 ms; none of the ways has any.
        """
        seconds = 0.0
        for pid in self.pids:
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
            seconds += time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED) + sum(map(int, ticks)) / 100
        return seconds

    def memory(self, field: str) -> float:
        """MiB of resident memory: `VmRSS` now, `VmHWM` at the peak (proc_pid_status(5)).

        Of two processes the sum, although each may have its peak at another time.
        """
        kilobytes = 0
        for pid in self.pids:
            status = Path(f"/proc/{pid}/status").read_text()
            kilobytes += int(status.partition(f"{field}:")[2].split()[0])
        return kilobytes / 1024

    def _unexpected(self, call: Call) -> BenchmarkError:
        body = call.body[:2000].decode(errors="replace")
        return BenchmarkError(f"{self.way} posted to {call.path}: {body}")

    def _call(self) -> Call:
        for _ in range(PATIENCE):
            if call := self._api.call(timeout=1):
                return call
            if any(process.poll() is not None for process in self._processes):
                break
        ended = [process for process in self._processes if process.returncode is not None]
        argv = (ended or self._processes)[0].args
        raise BenchmarkError(
            f"{self.way} made no call to the Runtime API, and its process "
            f"{'has ended' if ended else 'runs on'}: {argv!r}. What it printed is above."
        )


def invocation_headers(number: int) -> bytes:
    deadline = int((time.time() + FUNCTION_TIMEOUT) * 1000)
    return (
        f"Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{number:012x}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
        "Lambda-Runtime-Invoked-Function-Arn: "
        "arn:aws:lambda:eu-central-1:123456789012:function:benchmark\r\n"
        f"Lambda-Runtime-Trace-Id: Root=1-6a5145aa-{number:024x};"
        "Parent=9a9197af755a6419;Sampled=0\r\n"
    ).encode()
