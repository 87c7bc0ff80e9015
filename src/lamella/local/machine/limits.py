"""What of Lambda's limits this machine can enforce, and how a function's command is put under them.

Memory is measured while the function runs, and what is over its limit is killed. A limit of the
kernel's own (a control group) would need the administrator's leave, and one of the address space
(RLIMIT_AS) would count what no page of memory stands behind.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lamella.local.machine import isolation

OPT = Path("/opt")

TMP_MB = 512
"""Lambda's default for /tmp."""

REFUSED_WRITES = (
    "Read-only file system",
    "unable to open database file",
    "attempt to write a readonly database",
)
"""What Python and SQLite say of a file that cannot be written; SQLite names neither file nor
reason."""

ONLY_TMP = (
    "Only /tmp can be written on Lambda. Write to /tmp what may be lost with the environment, and "
    "keep the rest in a database or in S3."
)


def advice_on_writing(message: str) -> str:
    """What to do about an error with this message where it is of a refused write; else ""."""
    return ONLY_TMP if any(words in message for words in REFUSED_WRITES) else ""


def hidden(folder: Path) -> str:
    """Why a function does not find its code in `folder` under the limits, and what to change; ""
    where it does."""
    if folder.resolve() != Path("/tmp"):
        return ""
    return (
        "the code is in /tmp itself, which a function finds empty: move it to a folder of its own"
    )


@dataclass(frozen=True)
class Limits:
    """`mounts`: the file system is read-only but for `writable` folders and a /tmp of `tmp_mb` MB.

    `memory`: what uses more than the function has is killed.
    """

    mounts: bool = True
    memory: bool = True
    tmp_mb: int = TMP_MB
    writable: tuple[Path, ...] = ()

    def command(self, kept: list[Path], argv: list[str], opt: Path | None = None) -> list[str]:
        """`argv` under these limits; it finds the folders `kept` where they are, and `opt` at
        /opt, too, unless there is a hindrance."""
        folders = ("\n".join(map(str, each)) for each in (kept, self.writable))
        at_opt = "" if opt is None or self.hindrance(kept) else str(opt)
        asked = [str(self.tmp_mb if self.mounts else 0), *folders, at_opt]
        return [sys.executable, "-I", "-S", isolation.__file__, *asked, *argv]

    def hindrance(self, kept: list[Path]) -> str:
        """Why nothing can be mounted at /opt, and what to change; "" where it can."""
        if not self.mounts:
            return (
                "a process has no mounts of its own on this machine: start on a Linux where users "
                "may make namespaces"
            )
        if not OPT.is_dir():
            return "this machine has no such folder: make an empty one (sudo mkdir /opt)"
        for folder in (*kept, *self.writable):
            if folder.is_relative_to(OPT):
                return (
                    f"the function needs {folder}, which is there: name another Python with "
                    "--python, or another folder with --task-root or --layer"
                )
        return ""


def enforceable(limits: Limits) -> tuple[Limits, list[str]]:
    """As much of `limits` as this machine can enforce, and a sentence for all that it cannot."""
    on_linux, missing = Path("/proc/self/statm").exists(), []
    reason = "this system has no mount namespaces"
    if on_linux:
        command = limits.command([], [])
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
            reason = ""
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.splitlines() or [f"exit status {error.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            reason = "a mounted file system does not answer"
    if reason:
        missing.append(f"the read-only file system and a /tmp of its own ({reason})")
    if not on_linux:
        missing.append("the memory limit (this system has no /proc)")
    known = Limits(not reason, on_linux, limits.tmp_mb, limits.writable)
    return known, missing
