"""Processes that are not our children, looked at from outside. Linux only."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

UNKNOWN_STATUS = 255
"""Stands for the exit status of a process whose parent was quicker to ask for it."""


class Adopted:
    """Somebody else's child, with the part of asyncio.subprocess.Process that we need."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._fd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._fd, self._note_end)

    async def wait(self) -> int:
        """Wait for its end; the exit code, or the negative signal number."""
        return await asyncio.shield(self._ended)

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self.returncode = _exit_status(self.pid)
        self._ended.set_result(self.returncode)


def _exit_status(pid: int) -> int:
    """Read off a zombie: the last field of its stat, see proc(5)."""
    try:
        return os.waitstatus_to_exitcode(int(_stat(pid)[-1]))
    except OSError:
        return UNKNOWN_STATUS


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has taken effect on a process. Raises OSError if there is none."""
    return _stat(pid)[0] == "T"


def owner(port: int, server_port: int, sessions: Iterable[int]) -> int | None:
    """Which of `sessions` (ids, which are their leaders' pids) holds the TCP connection from
    `port` to `server_port`, both on 127.0.0.1; None where none does."""
    inode = _inode(port, server_port)
    if inode is None:
        return None
    wanted = set(sessions)
    for session in wanted:  # nearly always the leader itself
        if _holds(str(session), inode):
            return session
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _session(entry) in wanted and _holds(entry, inode):
            return _session(entry)
    return None


def _inode(port: int, server_port: int) -> str | None:
    local, remote = f"0100007F:{port:04X}", f"0100007F:{server_port:04X}"
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = row.split()
        if fields[1] == local and fields[2] == remote:
            return fields[9]
    return None


def _holds(pid: str, inode: str) -> bool:
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]":
                    return True
    return False


def _session(pid: str) -> int | None:
    with contextlib.suppress(OSError):
        return int(_stat(pid)[3])
    return None


def _stat(pid: int | str) -> list[str]:
    """The fields of proc(5)'s stat behind the command's name: state, ppid, pgrp, session, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
