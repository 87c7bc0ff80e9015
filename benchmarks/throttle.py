"""A little of a CPU, as Lambda gives a small function outside of init: a control group of Linux.

128 MB get 0.07 of a CPU (128 of 1,769 MB), and the kernel's scheduler hands them out every 20 ms.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD = 20_000  # microseconds
QUOTA = 1_400  # of them

_ROOTS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
"""Where control groups of the first and of the second version are."""


def can_throttle() -> bool:
    """Whether this user may make a control group for processors here."""
    try:
        with throttled(()):
            return True
    except OSError:
        return False


@contextmanager
def throttled(pids: Iterable[int]) -> Iterator[None]:
    """Keep processes to 0.07 of a CPU. Raises OSError where no control group can be made."""
    root = next((each for each in _ROOTS if (each / "cgroup.procs").exists()), _ROOTS[0])
    group = root / f"lamella-bench-{os.getpid()}"
    group.mkdir()
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{QUOTA} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(QUOTA))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for line in (group / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(line)
        group.rmdir()
