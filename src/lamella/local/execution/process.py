"""The runtime process of an environment: started, frozen, thawed and ended by signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from lamella.local.config import FunctionConfig

MAX_RECORD = 256 * 1024
"""Bytes of one log record in CloudWatch Logs; a longer line is split."""

SIGTERM_GRACE = 0.5
"""Seconds from SIGTERM to SIGKILL for a runtime with internal extensions only,
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""

MANAGED_GRACE = 0.6
"""The same on managed instances, as AWS's Runtime Interface Emulator has it; the 2 seconds in
all that it allows are for external extensions."""

LEASH = "read _; kill -s KILL -- -$0"
"""Holds the other end of a pipe of ours: when we die without a word, it kills the group $0. A
frozen process would never notice by itself, and stay for ever."""

MEASURED = 0.05
"""Seconds between two looks at the memory of a process that may be over its limit."""

LineCallback = Callable[[str], None]


class WrapperError(Exception):
    """The exec wrapper cannot be started; `exit_code` is what Lambda's shell script exits with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def check_wrapper(config: FunctionConfig) -> None:
    """Do the checks of the managed runtime's start script. Raises WrapperError."""
    wrapper = config.wrapper
    if wrapper is None:
        return
    if not wrapper.is_file():
        raise WrapperError(f"{wrapper}: does not exist", 127)
    if not os.access(wrapper, os.X_OK):
        raise WrapperError(f"{wrapper}: is not an executable", 126)


class RuntimeProcess:
    """A process group of its own, whose output goes line by line to a callback: see `start`."""

    def __init__(
        self,
        leader: asyncio.subprocess.Process,
        leash: asyncio.subprocess.Process,
        on_line: LineCallback,
        memory: int | None,
    ) -> None:
        self._leader = leader
        self._on_line = on_line
        self._leash = leash
        self._readers = [
            asyncio.ensure_future(_read_lines(stream, on_line))
            for stream in (leader.stdout, leader.stderr)
            if stream is not None
        ]
        self._end: asyncio.Future[None] = asyncio.ensure_future(self._attend())
        self._watching = asyncio.ensure_future(self._watch_memory(memory)) if memory else None
        self._peak = 0
        self.frozen = False

    @classmethod
    async def start(
        cls, config: FunctionConfig, variables: dict[str, str], on_line: LineCallback
    ) -> RuntimeProcess:
        """Start the runtime in the task root; whatever goes wrong, it is not left behind.

        Raises WrapperError, or OSError of exec.
        """
        check_wrapper(config)
        leader = await asyncio.create_subprocess_exec(
            *config.argv,
            cwd=config.task_root,
            env=variables,
            stdin=None if config.debug else asyncio.subprocess.DEVNULL,
            stdout=None if config.debug else asyncio.subprocess.PIPE,
            stderr=None if config.debug else asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            leash = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", LEASH, str(leader.pid)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            os.killpg(leader.pid, signal.SIGKILL)
            raise
        memory = config.memory if config.limits is not None and config.limits.memory else None
        return cls(leader, leash, on_line, memory)

    @property
    def pid(self) -> int:
        """The process id, which is also the group's."""
        return self._leader.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, the negative signal number, or None while it runs."""
        return self._leader.returncode

    async def exited(self) -> None:
        """Wait for the end of the process."""
        await self._leader.wait()

    def freeze(self) -> None:
        """Stop the whole group, as Lambda freezes a sandbox."""
        if self.exit_code is None and not self.frozen:
            self.frozen = True
            self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the group go on."""
        if self.frozen:
            self.frozen = False
            self._signal(signal.SIGCONT)

    async def stop(self, grace: float = 0.0) -> None:
        """End the group: SIGKILL, `grace` seconds after a SIGTERM if there is any."""
        if grace and self.exit_code is None:
            self.thaw()
            self._signal(signal.SIGTERM)
            await asyncio.wait([self._end], timeout=grace)
        if self.exit_code is None:
            self._signal(signal.SIGKILL)
        await asyncio.shield(self._end)
        # A grandchild with its own session may hold the pipes open; do not wait for it.
        await asyncio.wait(self._readers, timeout=0.5)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def max_memory_mb(self) -> int | None:
        """The main process's peak of resident memory in MB; None where /proc does not tell."""
        try:
            peak = status_kb(self.pid, "VmHWM")
        except OSError:
            return self._peak or None
        return None if peak is None else peak // 1024

    async def _watch_memory(self, limit: int) -> None:
        """Kill what uses more than `limit` MB, as the kernel does on Lambda."""
        while self.exit_code is None:
            await asyncio.sleep(MEASURED)
            used = 0 if self.frozen else memory_mb(self.pid)
            if used > limit:
                self._peak = limit
                self._on_line(
                    f"The function used {used} MB, and its limit is {limit} MB: it is killed. "
                    "Give it more memory (--memory, or MemorySize in the template)."
                )
                self._signal(signal.SIGKILL)
                return

    async def _attend(self) -> None:
        """When the leader ends, the sandbox does: end what it left behind, and then its leash.

        At once, because soon after the group's number may be another one's.
        """
        await self._leader.wait()
        if self._watching is not None:
            self._watching.cancel()
        self._signal(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._leash.kill()
        await self._leash.wait()

    def _signal(self, number: signal.Signals) -> None:
        # The group may be gone already; macOS says PermissionError of one that is all zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def status_kb(pid: int, name: str) -> int | None:
    """A figure of a process in KB, as /proc/PID/status names it: VmRSS. None where it has none;
    raises OSError where there is no such process, or no /proc."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    row = next((row for row in rows if row.startswith(f"{name}:")), None)
    return None if row is None else int(row.split()[1])


def memory_mb(pid: int) -> int:
    """The resident memory of a process and its children in MB, shared pages once; 0 if it is gone.

    Only a process with children is asked for its proportional share, which takes the kernel longer.
    """
    pids, size = [pid], 0
    for each in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{each}/task"):
                children = Path(f"/proc/{each}/task/{task}/children").read_text()
                pids += map(int, children.split())
    for each in pids:
        with contextlib.suppress(OSError):
            if len(pids) == 1:
                pages = int(Path(f"/proc/{each}/statm").read_text().split()[1])
                size += pages * os.sysconf("SC_PAGE_SIZE")
            else:
                rows = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
                size += sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))
    return size // 2**20


async def _read_lines(stream: asyncio.StreamReader, on_line: LineCallback) -> None:
    rest = b""
    while data := await stream.read(65_536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            on_line(line.decode("utf-8", "replace"))
        while len(rest) > MAX_RECORD:
            on_line(rest[:MAX_RECORD].decode("utf-8", "replace"))
            rest = rest[MAX_RECORD:]
    if rest:
        on_line(rest.decode("utf-8", "replace"))
