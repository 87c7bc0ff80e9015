"""A hundred thousand invocations: memory and file descriptors stay where they were.

`python -m benchmarks.soak` (`make soak`). One environment answers buffered and streamed, well and
with errors, in turn. After the first thousand everything is warm: from then on neither the
resident memory nor the number of open files may grow. Exit status 1 where one does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks import event, site
from benchmarks.environment import Environment
from benchmarks.ways import BOOTSTRAP

WARM = 1_000  # invocations
ALLOWED_MIB = 1.0  # growth of the resident memory: what malloc's own arenas may wander


class Usage(NamedTuple):
    """What a process holds: resident memory in MiB, open files."""

    memory: float
    files: int


def main() -> None:
    """Run, print, and say by the exit status whether something grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--invocations", type=int, default=100_000)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--layer", type=Path, default=site.LAYER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lamella-soak-") as folder:
        place = site.prepare(options.python, options.layer, Path(folder))
        with Environment(place, BOOTSTRAP, ASGI_INVOKE_MODE="response_stream") as environment:
            before = _run(environment, WARM)
            after = _run(environment, options.invocations - WARM)
    grown = after.memory - before.memory
    print(f"after {WARM:,}: {before.memory:.1f} MiB, {before.files} files")
    print(f"after {options.invocations:,}: {after.memory:.1f} MiB, {after.files} files")
    if grown > ALLOWED_MIB or after.files > before.files:
        raise SystemExit(f"It grew by {grown:.1f} MiB and {after.files - before.files} files.")


def _run(environment: Environment, invocations: int) -> Usage:
    """Send the events in turn, and look at the process when it has finished the last one."""
    streamed = event.get("/hello")
    buffered = streamed.replace(b".lambda-url.", b".execute-api.")
    malformed = json.dumps({**json.loads(buffered), "rawPath": 5}).encode()
    passed_through = b'{"Records":[]}'
    turn = [buffered] * 6 + [streamed, streamed, malformed, passed_through]
    for number in range(invocations):
        environment.invoke(turn[number % len(turn)])
    environment.ready()
    return Usage(environment.memory("VmRSS"), len(os.listdir(f"/proc/{environment.pids[0]}/fd")))


if __name__ == "__main__":
    main()
