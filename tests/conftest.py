"""What every test folder shares."""

from __future__ import annotations

import fcntl
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from layer import archive, build, pythons

# Its assertions say what they compared, also where another folder's tests import it first.
pytest.register_assert_rewrite("tests.contract.checks")


@pytest.fixture
def anyio_backend() -> str:
    """Lambda's loop is asyncio's."""
    return "asyncio"


@pytest.fixture(scope="session")
def layer_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer, built from this tree once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "lamella-layer.zip"
    with (folder / "layer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = folder / "unfinished"
            build.build(build.ROOT, unfinished / path.name)
            archive.unpack(unfinished / path.name, unfinished / "opt")
            (unfinished / "opt").rename(folder / "opt")
            (unfinished / path.name).rename(path)
    return path


@pytest.fixture(scope="session")
def opt(layer_zip: Path) -> Path:
    """The layer unpacked, as Lambda does at /opt. Nothing may write there."""
    return layer_zip.parent / "opt"


# What works on 3.11 and 3.13 works on 3.12, but for its bytecode: tests/layer tries that one, too.
HERE = "{}.{}".format(*sys.version_info)
TRIED = [each for each in pythons.find() if each.minor != "3.12" or each.minor == HERE]


@pytest.fixture(scope="session", params=TRIED, ids=lambda python: str(python.minor))
def python(request: pytest.FixtureRequest) -> pythons.Python:
    """Each supported Python of this machine, but 3.12."""
    found: pythons.Python = request.param
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what share of the tests ran, and for each reason why others did not what to do."""
    stats = terminalreporter.stats
    outcomes = ("passed", "failed", "skipped", "xfailed", "error")
    total = sum(len(stats.get(outcome, ())) for outcome in outcomes)
    why: Counter[str] = Counter()
    for report in stats.get("skipped", ()):
        _, _, reason = report.longrepr
        why[reason.removeprefix("Skipped: ")] += 1
    if not total:
        return
    ran = total - why.total()
    terminalreporter.section(f"{ran:,} of {total:,} tests ran ({100 * ran // total} %)")
    for reason, count in why.most_common():
        terminalreporter.line(f"{count:6,} skipped: {reason}")
    if missing := ", ".join(pythons.missing(pythons.find())):
        terminalreporter.line(f"not run on Python {missing}: make pythons, pyenv install")


def pytest_xdist_auto_num_workers() -> int:
    """Two workers for each core, as `-n auto`: most tests wait for a process or a timer."""
    return 2 * (os.cpu_count() or 1)
