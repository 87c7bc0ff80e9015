"""Runs AWS's emulator for managed instances in a file system that looks like Lambda's. Linux only.

    python as_lambda.py TASK_ROOT WRAPPER PYTHON EMULATOR [FLAG...]

In that mode the emulator ignores a command on its command line: it starts /var/runtime/bootstrap
in /var/task, as user 993. So: a mount namespace of our own with an empty /var, in which /var/task
is TASK_ROOT and /var/runtime/bootstrap starts WRAPPER as the managed runtime does; and a system
call filter that makes its change of user succeed and do nothing, since user 993 could not read
what lies in a developer's home. A user namespace makes that possible without being root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import struct
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC = 4096, 16384
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SETUID_SETGID_SETGROUPS = {"x86_64": (105, 106, 116), "aarch64": (146, 144, 159)}

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # operations of BPF, linux/bpf_common.h
ALLOW, SUCCEED_IDLY = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW; _ERRNO with no error in it

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    """Raise OSError for a failed call of libc."""
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_namespaces() -> None:
    """From here on this process may mount, and nobody else sees it."""
    user, group = os.geteuid(), os.getegid()
    checked(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def make_places(task_root: str, wrapper: str, python: str) -> None:
    """/var/task and /var/runtime."""
    checked(libc.mount(b"none", b"/var", b"tmpfs", 0, None))
    os.mkdir("/var/task")
    checked(libc.mount(task_root.encode(), b"/var/task", None, MS_BIND | MS_REC, None))
    os.mkdir("/var/runtime")
    bootstrap = Path("/var/runtime/bootstrap")
    command = shlex.join([wrapper, python, "/var/runtime/bootstrap.py"])
    bootstrap.write_text(f"#!/bin/sh\nexec {command}\n")
    bootstrap.chmod(0o755)


def stay_who_we_are() -> None:
    """Let changes of user and group succeed without an effect, here and in all children."""
    numbers = SETUID_SETGID_SETGROUPS[platform.machine()]
    program = [operation(LOAD, 0)]  # the number of the system call
    for left, number in zip((3, 2, 1), numbers, strict=True):
        program.append(operation(JUMP_IF_EQUAL, number, left))
    program += [operation(RETURN, ALLOW), operation(RETURN, SUCCEED_IDLY)]
    code = ctypes.create_string_buffer(b"".join(program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    address: Any = ctypes.c_void_p(ctypes.addressof(filter_))
    checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address))


def operation(code: int, value: int, skip: int = 0) -> bytes:
    """One instruction of BPF; `skip` is how many to jump over if it holds."""
    return struct.pack("HBBI", code, skip, 0, value)


if __name__ == "__main__":
    own_namespaces()
    make_places(*sys.argv[1:4])
    stay_who_we_are()
    os.chdir("/var/task")
    os.execv(sys.argv[4], sys.argv[4:])
