"""Runs inside the function's process, in front of its runtime: makes it a snapshot to clone.

    python clone_hook.py CONTROL [...] SCRIPT

runs SCRIPT as `python SCRIPT` would, but for one signal handler. At CLONE the process forks and
stops itself again before another line of the runtime's code runs; the child becomes a restored
environment. A snapshot of Lambda is a copy of the whole memory; a fork is a copy of it all, too,
but shares with its origin what the kernel keeps: those things are replaced here (see `_clone`).
Whoever listens to the Unix socket CONTROL, snapshot.py, says which connections there are to be.

Nothing is imported that the runtime does not have anyhow, before the first clone.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

CLONE = 50
"""A real-time signal, of those that no library is known to use. Linux only, as all of this."""

MAX_FDS = 32


def main() -> None:
    """See the module's docstring."""
    control, script = sys.argv[1], sys.argv[-1]

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        _fork(control)

    signal.signal(CLONE, on_signal)
    sys.argv = [script]
    sys.path[0] = os.path.dirname(script)
    module = type(sys)("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    with open(script, "rb") as source:
        code = compile(source.read(), script, "exec")
    exec(code, module.__dict__)


def _fork(control: str) -> None:
    # What Python itself changes in a forked process, but a snapshot keeps as it was.
    asyncio = sys.modules.get("asyncio")
    random = sys.modules.get("random")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    wakeup = signal.set_wakeup_fd(-1)
    seed = random.getstate() if random is not None else None
    child = os.fork() == 0
    if wakeup >= 0:
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    if not child:
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    if random is not None:
        random.setstate(seed)
    if asyncio is not None and loop is not None:
        asyncio.set_event_loop(loop)
        asyncio._set_running_loop(loop)
    try:
        _clone(control, loop)
    except BaseException:  # it must not fall into the runtime's code
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _clone(control: str, loop: Any) -> None:
    """Give this process what it shares with its origin, for itself.

    Its session, standard output and error; the connections to the Runtime API, with what was
    asked over them still unanswered. All other TCP connections are dead, as one has to expect of
    them after a restore. epoll instances, and the socket pair that wakes up asyncio's loop.
    """
    import socket

    os.setsid()
    fds = [int(name) for name in os.listdir("/proc/self/fd")]
    epolls = {fd: _watched(fd) for fd in fds if "eventpoll" in _link(fd)}
    connected = {fd: port for fd in fds if (port := _local_port(fd)) is not None}
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(control)
        message, (stdout, stderr, *given), _, _ = socket.recv_fds(line, 4096, MAX_FDS)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    new = dict(zip(map(int, message.split()), given, strict=True))
    dead, other_end = socket.socketpair()
    other_end.close()
    for fd, port in connected.items():
        _replace(fd, new.get(port, dead.fileno()))
    if hasattr(loop, "_ssock") and hasattr(loop, "_csock"):
        ends = socket.socketpair()
        for old, end in zip((loop._ssock, loop._csock), ends, strict=True):
            _replace(old.fileno(), end.fileno())
            end.close()
    for fd, watched in epolls.items():
        _renew_epoll(fd, watched)
    dead.close()
    for fd in (stdout, stderr, *given):
        os.close(fd)


def _link(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _local_port(fd: int) -> int | None:
    """The port of our end, if `fd` is a TCP connection."""
    import socket

    if not _link(fd).startswith("socket:"):
        return None
    with socket.socket(fileno=os.dup(fd)) as held:
        if held.family not in (socket.AF_INET, socket.AF_INET6) or held.type != socket.SOCK_STREAM:
            return None
        try:
            held.getpeername()
        except OSError:  # it listens, or is not connected
            return None
        port: int = held.getsockname()[1]
        return port


def _replace(fd: int, by: int) -> None:
    blocking = os.get_blocking(fd)
    os.dup2(by, fd, inheritable=False)
    os.set_blocking(fd, blocking)


def _watched(fd: int) -> dict[int, int]:
    """What an epoll instance watches: file descriptors and their event masks."""
    watched = {}
    with open(f"/proc/self/fdinfo/{fd}") as info:
        for words in map(str.split, info):
            if words and words[0] == "tfd:":
                watched[int(words[1])] = int(words[3], 16)
    return watched


def _renew_epoll(fd: int, watched: dict[int, int]) -> None:
    import select

    with select.epoll() as fresh:
        for target, events in watched.items():
            fresh.register(target, events)
        os.dup2(fresh.fileno(), fd, inheritable=False)


if __name__ == "__main__":
    main()
