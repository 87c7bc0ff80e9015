"""Worker processes: shares of the slots, replacement, the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lamella.runtime import workers
from lamella.runtime.environment import processes_of, slots_of
from tests.ports import free_port

LIMIT = 60.0
"""Seconds for what takes one or two, on a machine that has other things to do as well."""


@pytest.mark.parametrize(
    ("slots", "processes", "expected"),
    [(64, 2, [32, 32]), (5, 2, [3, 2]), (3, 3, [1, 1, 1]), (1, 1, [1])],
)
def test_shares_are_even(slots: int, processes: int, expected: list[int]) -> None:
    assert workers.shares(slots, processes) == expected


@pytest.mark.parametrize(
    ("slots", "configured", "expected"),
    [(64, 4, 4), (2, 8, 2), (1, 4, 1), (64, None, min(os.cpu_count() or 1, 64))],
)
def test_as_many_processes_as_slots_at_most(
    slots: int, configured: int | None, expected: int
) -> None:
    assert processes_of(slots, configured) == expected


def test_slots_are_lambda_s_concurrency() -> None:
    assert slots_of({"AWS_LAMBDA_MAX_CONCURRENCY": "16"}) == 16
    assert slots_of({}) == 1


def test_no_fork_while_threads_run() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert not workers.can_fork()
    finally:
        done.set()
        thread.join()


SCRIPT = """
import os, subprocess, sys, time, signal, logging
from lamella.runtime import workers
logging.basicConfig(stream=sys.stdout, format="%(message)s")
{before}
def work(slots, ready):
    if {ready}:
        ready()
    os.write(1, b"worker %d\\n" % slots)
    {work}
    return 0
print("ended", workers.Workers(work, [2, 1]).run({{}}, registers=False), flush=True)
"""


def parent(work: str, ready: bool = True, before: str = "pass") -> subprocess.Popen[str]:
    script = SCRIPT.format(work=work, ready=ready, before=before)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def test_SIGTERM_reaches_every_worker() -> None:
    process = parent("signal.pause()")
    assert process.stdout is not None
    assert sorted(process.stdout.readline() for _ in range(2)) == ["worker 1\n", "worker 2\n"]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=LIMIT)[0] == "ended 0\n"


SIGTERM_THEN = """
wait = os.waitpid
def waitpid(*arguments):
    ended = wait(*arguments)
    os.kill(os.getpid(), signal.SIGTERM)
    return ended
os.waitpid = waitpid
"""


def test_SIGTERM_just_after_a_worker_has_ended_reaches_the_others() -> None:
    process = parent("os._exit(9) if slots == 1 else signal.pause()", before=SIGTERM_THEN)
    output, _ = process.communicate(timeout=LIMIT)
    assert output.endswith("ended 0\n")


SIGTERM_BEFORE_THE_NEXT = """
class Ending(logging.Handler):
    def emit(self, record):
        if "another takes its place" in record.getMessage():
            os.kill(os.getpid(), signal.SIGTERM)
logging.getLogger().addHandler(Ending())
"""


def test_SIGTERM_just_before_a_worker_is_replaced_is_not_lost() -> None:
    """The new one would not be told of it, and live until Lambda kills the environment."""
    work = "os._exit(9) if slots == 1 else signal.pause()"
    process = parent(work, before=SIGTERM_BEFORE_THE_NEXT)
    output, _ = process.communicate(timeout=LIMIT)
    assert output.count("worker 1\n") == 1
    assert output.endswith("ended 0\n")


def test_a_worker_that_dies_is_replaced_with_its_share() -> None:
    process = parent(
        "os.kill(os.getpid(), 9) if slots == 1 and not os.path.exists('{}') else "
        "signal.pause()".format("/nonexistent/marker"),
        ready=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    assert lines.count("worker 1\n") >= 2
    assert lines.count("worker 2\n") == 1
    assert any("ended with status -9; another takes its place" in line for line in lines)


def test_a_worker_that_always_dies_ends_the_environment_after_growing_pauses() -> None:
    process = parent("os._exit(9) if slots == 1 else signal.pause()")
    output, _ = process.communicate(timeout=LIMIT)
    assert output.count("worker 1\n") == workers.QUICK_ENDS
    assert output.count("worker 2\n") == 1
    assert "ended with status 9, as did 5 before it, each within 10 s of its start" in output
    assert output.endswith("ended 1\n")


def test_SIGTERM_in_such_a_pause_ends_all_workers() -> None:
    process = parent("os._exit(9) if slots == 1 else signal.pause()")
    assert process.stdout is not None
    while "another takes its place" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=LIMIT)[0].endswith("ended 0\n")


def test_a_grandchild_that_holds_the_pipe_does_not_stop_the_parent() -> None:
    work = "(os.fork() or time.sleep(20)) and sys.exit(3) if slots == 1 else signal.pause()"
    process = parent(work, ready=False)
    assert process.stdout is not None
    with process.stdout as log:
        ends = [line for line in iter(log.readline, "ended 1\n") if "environment ends" in line]
    assert ends
    assert process.wait(timeout=LIMIT) == 0


def test_a_child_of_the_application_s_own_is_none_of_its_business() -> None:
    process = parent("signal.pause()", before="subprocess.Popen(['true'])")
    assert process.stdout is not None
    assert sorted(process.stdout.readline() for _ in range(2)) == ["worker 1\n", "worker 2\n"]
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=LIMIT)[0] == "ended 0\n"


def test_a_worker_that_dies_while_starting_ends_the_environment() -> None:
    process = parent("sys.exit(3) if slots == 1 else signal.pause()", ready=False)
    output, _ = process.communicate(timeout=LIMIT)
    assert "ended with status 1: the environment ends" in output
    assert output.endswith("ended 1\n")


def test_a_worker_that_would_be_replaced_in_vain_ends_the_environment() -> None:
    """Its init failed, or there is no Runtime API any more."""
    process = parent("return workers.IN_VAIN if slots == 1 else signal.pause()")
    output, _ = process.communicate(timeout=LIMIT)
    assert "ended with status 70: the environment ends" in output
    assert output.endswith("ended 1\n")


APP = """
async def app(scope, receive, send):
    raise NotImplementedError
"""


def test_without_a_runtime_api_no_worker_is_replaced(tmp_path: Path) -> None:
    """An emulator that was killed leaves its runtime behind: it is to end, too."""
    (tmp_path / "main.py").write_text(APP)
    command = [sys.executable, "-c", RUNTIME]
    environ = {**os.environ, **without_api(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 1, done.stderr
    assert "another takes its place" not in done.stderr


def test_a_log_that_nobody_reads_any_more_changes_no_exit_status() -> None:
    script = "import sys; from lamella.runtime.ending import leave; print('unread'); leave(70)"
    environ = {**os.environ, "PYTHONUNBUFFERED": ""}  # so that there is something to flush
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=LIMIT) == 70


def without_api(task: Path) -> dict[str, str]:
    """Variables of a function with two workers, and a Runtime API that is not there."""
    return {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{free_port()}",
        "AWS_LAMBDA_MAX_CONCURRENCY": "2",
        "ASGI_PROCESSES": "2",
        "ASGI_APP": "main:app",
        "PYTHONPATH": str(task),
    }


RUNTIME = """
import gc
from lamella.runtime.main import main
main("/nonexistent", gc.get_threshold())
"""
