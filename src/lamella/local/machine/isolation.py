"""What a function may do on Lambda and here: run as a program, before the function's own.

    python -I -S isolation.py TMP_MB KEPT WRITABLE OPT COMMAND ...

KEPT and WRITABLE are folders, one a line. With a TMP_MB of 0 nothing is mounted.

In a mount namespace of its own, every file system is read-only. /tmp is a new one of a limited
size. What lies in the old /tmp and is needed (the code, the layer) is there, read-only. /opt is the
folder OPT, because scripts of layers name it; where OPT is empty, /opt stays as it is. Then COMMAND
takes this process's place. The limit of open files holds on every system.

It imports nothing of Lamella, since it starts without any site-packages, and little else, since
it is part of every cold start. Its exit status is 125 where it fails, with the reason as the last
line of stderr.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV = 1, 2, 4
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18
KEPT = {
    **{"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": 8},
    **{"noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21},
}
"""Options that a mount keeps: in a user's namespace none of them may be taken away."""

VIRTUAL = ("/proc", "/sys", "/dev")
"""Trees that are no storage; /dev/shm is one, and does not exist on Lambda."""

DESCRIPTORS = 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

FAILED = 125


def main(tmp_mb: str, kept: str, writable: str, opt: str, *command: str) -> None:
    """Isolate this process, and become `command`."""
    try:
        descriptors = min(DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        if tmp_mb != "0":
            isolate(tmp_mb, kept.splitlines(), writable.splitlines(), opt)
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        if not command:
            return
        os.chdir(os.getcwd())  # into the new mount of the same folder
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        sys.exit(FAILED)
    os.execv(command[0], command)


def isolate(tmp_mb: str, kept: list[str], writable: list[str], opt: str) -> None:
    """Make what can be seen read-only, but for `writable` folders and a new /tmp of `tmp_mb` MB,
    in which the folders `kept` and `writable` are found again; `opt`, if any, is /opt.

    Raises OSError.
    """
    enter_namespace()
    for folder in writable:
        mount(folder, folder, "", MS_BIND | MS_REC)
    if opt:
        mount(opt, "/opt", "", MS_BIND | MS_REC)
    mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, f"size={tmp_mb}m,mode=1777")
    for folder in (each for each in [*kept, *writable] if each.startswith("/tmp/")):
        place = f"/mnt/{folder[5:]}"
        os.makedirs(place, exist_ok=True)
        mount(folder, place, "", MS_BIND | MS_REC)
    mount("/mnt", "/tmp", "", MS_MOVE)
    make_read_only({"/tmp", *writable})


def enter_namespace() -> None:
    """From now on this process's mounts are its own. Raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWNS)
    except OSError:  # no administrator; but who makes a user namespace may mount in it, until exec
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
        for name, text in maps.items():
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("", "/", "", MS_REC | MS_PRIVATE)


def make_read_only(spared: set[str]) -> None:
    """Make every mount read-only that holds files, but for those at `spared`. Raises OSError."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [line.split()[4:6] for line in file]
    for written, options in mounts:
        point = written.replace("\\040", " ").replace("\\011", "\t")
        is_virtual = any(f"{point}/".startswith(f"{tree}/") for tree in VIRTUAL)
        if point in spared or (is_virtual and point != "/dev/shm"):
            continue
        flags = sum(KEPT.get(option, 0) for option in options.split(","))
        try:
            mount("", point, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
        except OSError:
            if point == "/":
                raise


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
