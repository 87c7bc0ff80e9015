"""What a function may do on Lambda and here: run as a program, before the function's own.

    python -I -S isolation.py '{"tmp_mb": 512, ...}' COMMAND ...

In a mount namespace of its own, every file system is read-only. /tmp is a new one of a limited
size. What lies in the old /tmp and is needed (the code, the layer) is there, read-only. Then
COMMAND takes this process's place. The limit of open files holds on every system.

It imports nothing of Lamella, since it starts without any site-packages. Its exit status is 125
where it fails, with the reason as the last line of stderr.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV = 1, 2, 4
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18
ST_RELATIME, MS_RELATIME = 4096, 1 << 21
KEPT = 0x7 | 8 | 1024 | 2048
"""The flags that statvfs and mount have in common: RDONLY, NOSUID, NODEV, NOEXEC, NOATIME,
NODIRATIME. A namespace must keep those that a mount has outside."""

VIRTUAL = ("/proc", "/sys", "/dev")
"""Trees that are no storage; /dev/shm is one, and does not exist on Lambda."""

DESCRIPTORS = 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

FAILED = 125


def main(asked: str, *command: str) -> None:
    """Isolate this process, and become `command`."""
    try:
        limits = json.loads(asked)
        descriptors = min(DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        if limits["mounts"]:
            isolate(limits["tmp_mb"], limits["kept"], limits["writable"])
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        if not command:
            return
        os.chdir(os.getcwd())  # into the new mount of the same folder
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        sys.exit(FAILED)
    os.execv(command[0], command)


def isolate(tmp_mb: int, kept: list[str], writable: list[str]) -> None:
    """Make what can be seen read-only, but for `writable` folders and a new /tmp of `tmp_mb` MB,
    in which the folders `kept` and `writable` are found again. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        unshare(CLONE_NEWNS)
    else:  # who makes a user namespace may mount in it, until the next exec
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("", "/", "", MS_REC | MS_PRIVATE)
    for folder in writable:
        mount(folder, folder, "", MS_BIND | MS_REC)
    mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, f"size={tmp_mb}m,mode=1777")
    for folder in (each for each in [*kept, *writable] if each.startswith("/tmp/")):
        place = f"/mnt/{folder[5:]}"
        os.makedirs(place, exist_ok=True)
        mount(folder, place, "", MS_BIND | MS_REC)
    spared = {"/tmp", *writable}
    mount("/mnt", "/tmp", "", MS_MOVE)
    for point in mount_points():
        if point in spared or (point.startswith(VIRTUAL) and point != "/dev/shm"):
            continue
        try:
            state = os.statvfs(point).f_flag
            flags = state & KEPT | (MS_RELATIME if state & ST_RELATIME else 0)
            mount("", point, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
        except OSError:
            if point == "/":
                raise


def mount_points() -> list[str]:
    """All of this process's, as /proc writes them: blanks are octal."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        fields = [line.split()[4] for line in file]
    return [each.replace("\\040", " ").replace("\\011", "\t") for each in fields]


libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2). Raises OSError."""
    arguments = (os.fsencode(each) for each in (source, target, kind))
    if libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(data)):
        error = ctypes.get_errno()
        raise OSError(error, f"mount of {target}: {os.strerror(error)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
