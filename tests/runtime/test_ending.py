"""The end of a process, whatever the application has hung into it."""

from __future__ import annotations

import subprocess
import sys

import pytest

OBSTACLES = {
    "an exit handler that raises": "atexit.register(lambda: 1 / 0)",
    "an exit handler that exits": "atexit.register(sys.exit, 7)",
    "a log handler whose flush raises": (
        "class Frail(logging.Handler):\n"
        "    def flush(self): raise KeyError('no flush')\n"
        "frail = Frail()"
    ),
    "a thread that runs on": "threading.Thread(target=time.sleep, args=(3600,)).start()",
    "no stdout": "sys.stdout = None",
    "a closed stdout": "sys.stdout.close()",
    "a stdout that raises": "sys.stdout = type('Odd', (), {'flush': lambda self: sys.exit(9)})()",
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES.keys())
def test_nothing_holds_up_the_end_or_changes_its_status(obstacle: str) -> None:
    script = (
        "import atexit, logging, sys, threading, time\n"
        "from lamella.runtime.ending import leave\n"
        "atexit.register(sys.stderr.write, 'the first exit handler ran')\n"
        f"{obstacle}\n"
        "leave(65)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 65
    assert "the first exit handler ran" in done.stderr
