"""Nothing of the layer is compiled, or compared with its source, when it starts.

`test_bytecode.py` shows that each module's bytecode is right; this, that a whole start and a
request use it. What a monitor never saw is no proof, so planted faults must be seen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from layer import budget, bytecode
from layer.pythons import Python
from tests.layer import monitoring

pytestmark = pytest.mark.anyio

MODULE = "lamella/service.py"


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_a_start_uses_the_bytecode_as_it_is(opt: Path, python: Python, mode: str) -> None:
    report = await monitoring.start(opt, python, mode)
    assert monitoring.faults(report) == {}
    assert set(report["loaded"]) == set(report["modules"])
    assert bytecode.cached(MODULE, python) in report["loaded"]
    # What a cold start waits for: every file that it reads from the layer, and its bytes.
    read = [opt / "python" / name for name in set(report["loaded"])]
    read += [opt / "bootstrap", opt / "lamella/runtime.py"]
    limits = budget.load()
    assert len(read) <= limits.files
    assert sum(path.stat().st_size for path in read) <= limits.start


def remove(source: Path, pyc: Path, python: Python) -> None:
    pyc.unlink()


def compile_as(mode: str) -> Callable[[Path, Path, Python], None]:
    def plant(source: Path, pyc: Path, python: Python) -> None:
        code = "import py_compile, sys; py_compile.compile(*sys.argv[1:3], invalidation_mode="
        command = [python.path, "-c", f"{code}py_compile.PycInvalidationMode.{mode})"]
        subprocess.run([*command, source, pyc], check=True)

    return plant


def date_1980(source: Path, pyc: Path, python: Python) -> None:
    """As Lambda's tools leave it: the source's date is no longer what its bytecode says."""
    compile_as("TIMESTAMP")(source, pyc, python)
    os.utime(source, (315532800, 315532800))


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        pytest.param(remove, {"compiled", "source read", "written"}, id="missing"),
        pytest.param(date_1980, {"compiled", "source read", "written"}, id="stale"),
        pytest.param(compile_as("TIMESTAMP"), {"compared with its source"}, id="fresh by its date"),
        pytest.param(
            compile_as("CHECKED_HASH"),
            {"compared with its source", "source read"},
            id="fresh by its hash",
        ),
    ],
)
async def test_the_monitor_sees_a_planted_fault(
    opt: Path,
    python: Python,
    tmp_path: Path,
    plant: Callable[[Path, Path, Python], None],
    expected: set[str],
) -> None:
    copy = shutil.copytree(opt, tmp_path / "opt")
    pyc = bytecode.cached(MODULE, python)
    plant(copy / "python" / MODULE, copy / "python" / pyc, python)
    found = monitoring.faults(await monitoring.start(copy, python))
    assert expected <= set(found)
    for fault, paths in found.items():
        assert all(path.startswith((MODULE, pyc)) for path in paths), (fault, paths)
