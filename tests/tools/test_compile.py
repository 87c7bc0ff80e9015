"""`lamella compile`: bytecode that Lambda can use, whatever dates the zip has."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lamella.local.machine.bytecode import State, states
from lamella.local.machine.interpreter import inspected
from lamella.tools import compile as compile_module
from lamella.tools import measure
from lamella.tools.check import probing
from lamella.tools.measure import RUNS
from layer.pythons import Python
from tests.e2e.packages import USUAL, installed
from tests.tools.functions import APP, RUNTIME, lamella, write

ZIPPED = 315_532_800  # 1 January 1980, the date of every file in SAM's zips

# Counts what the import system compiles while main is imported; -B: /var/task is read-only.
COMPILED_AT_START = """
import importlib.machinery, sys
folder, count = sys.argv[1], 0
loader = importlib.machinery.SourceFileLoader
compiles = loader.source_to_code
def counted(self, data, path, *more, **options):
    global count
    count += path.startswith(folder)
    return compiles(self, data, path, *more, **options)
loader.source_to_code = counted
sys.path.insert(0, folder)
import main
print(count)
"""


def compiled_at_start(folder: Path, python: str = sys.executable) -> int:
    """How many of the folder's modules Lambda's Python would compile on every cold start."""
    for path in folder.rglob("*.py*"):
        os.utime(path, (ZIPPED, ZIPPED))
    command = [python, "-I", "-S", "-B", "-c", COMPILED_AT_START, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A function of three modules."""
    return write(
        tmp_path / "task",
        {
            "main.py": f"import pkg.part\n{APP}",
            "pkg/__init__.py": "",
            "pkg/part.py": "def function():\n    raise ValueError('shown')",
        },
    )


def test_after_it_a_start_compiles_nothing(task: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(task)], check=True)
    assert compiled_at_start(task) == 3  # pip's bytecode goes by date: all of it is stale
    done = lamella("compile", task, "--no-measure")
    assert done.status == 0, done.output
    assert "3 modules written" in done.output
    assert compiled_at_start(task) == 0


def test_check_finds_what_is_missing_or_old(task: Path) -> None:
    done = lamella("compile", task, "--check")
    assert done.status == 1, done.output
    assert "3 of 3 modules have no bytecode of their own source" in done.output
    assert not list(task.rglob("*.pyc"))
    lamella("compile", task, "--no-measure")
    assert lamella("compile", task, "--check").status == 0
    (task / "pkg" / "part.py").write_text("changed = True")
    done = lamella("compile", task, "--check")
    assert done.status == 1, done.output
    assert "1 of 3 modules" in done.output
    assert "1 of them have that of an older source" in done.output


def test_on_every_python(task: Path, python: Python) -> None:
    of_it = ("--runtime", f"python{python.minor}", "--python", python.path)
    done = lamella("compile", task, *of_it, "--no-measure")
    assert done.status == 0, done.output
    assert compiled_at_start(task, python.path) == 0
    assert lamella("compile", task, *of_it, "--check").status == 0
    (task / "pkg" / "part.py").write_text("changed = True")
    done = lamella("compile", task, *of_it, "--check")
    assert "1 of them have that of an older source" in done.output


def test_again_it_changes_nothing(task: Path) -> None:
    lamella("compile", task, "--no-measure")
    before = {path: path.stat().st_mtime_ns for path in task.rglob("*")}
    done = lamella("compile", task, "--no-measure", "--json").json
    assert (done["written"], done["unchanged"]) == (0, 3)
    assert {path: path.stat().st_mtime_ns for path in task.rglob("*")} == before


def test_a_changed_module_is_compiled_anew(task: Path) -> None:
    lamella("compile", task, "--no-measure")
    (task / "main.py").write_text(APP)
    done = lamella("compile", task, "--no-measure", "--json").json
    assert (done["written"], done["unchanged"]) == (1, 2)


def test_the_same_source_gives_the_same_bytes(task: Path, tmp_path: Path) -> None:
    other = shutil.copytree(task, tmp_path / "other")
    for folder in (task, other):
        lamella("compile", folder, "--no-measure")
    assert [path.read_bytes() for path in sorted(task.rglob("*.pyc"))] == [
        path.read_bytes() for path in sorted(other.rglob("*.pyc"))
    ]


def test_lambdas_user_can_read_it_whatever_the_umask(task: Path) -> None:
    before = os.umask(0o077)
    try:
        lamella("compile", task, "--no-measure")
    finally:
        os.umask(before)
    caches = list(task.rglob("__pycache__"))
    assert caches
    assert all(path.stat().st_mode & 0o005 == 0o005 for path in caches)


def test_files_that_do_not_compile_are_counted_and_left_alone(task: Path) -> None:
    write(task, {"template/project.py": "import {{ name }}", "old.py": "print 'Python 2'"})
    done = lamella("compile", task, "--no-measure")
    assert done.status == 0
    assert "2 skipped, which do not compile, for example old.py (SyntaxError" in done.output
    assert compiled_at_start(task) == 0


def test_hidden_folders_get_no_bytecode(task: Path) -> None:
    write(task / ".venv", {"big.py": ""})
    assert lamella("compile", task, "--no-measure", "--json").json["written"] == 3
    assert not list((task / ".venv").rglob("*.pyc"))


def test_the_gain_is_measured(task: Path) -> None:
    """Ten modules of three hundred functions each: compiling them costs far more than a load."""
    body = "".join(f"def function_{n}(a, b=1, *c):\n    return [a, b, c]\n" for n in range(300))
    write(task, {f"heavy/m{n}.py": body for n in range(10)})
    names = "\n".join(f"import heavy.m{n}" for n in range(10))
    (task / "main.py").write_text(names + APP)
    measured = lamella("compile", task, "--app", "main:app", "--json").json["import"]
    assert measured["after_ms"] < 0.8 * measured["before_ms"]


def test_without_an_application_there_is_nothing_to_measure(task: Path) -> None:
    (task / "main.py").rename(task / "other.py")
    done = lamella("compile", task)
    assert done.status == 0
    assert "The gain was not measured: The default application='main:app'" in done.output
    assert "3 modules written" in done.output


def test_a_fastapi_application(tmp_path: Path) -> None:
    """The real thing, whose packages are a few hundred modules."""
    python = USUAL
    packages = installed(python, "fastapi-alone", "fastapi")
    task = shutil.copytree(packages, tmp_path / "task")
    (task / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    options = ["--app", "main:app", "--python", python.path, "--json"]
    done = lamella("compile", task, *options).json
    assert done["failed"] == {}
    assert min(done["import"]["before_ms"], done["import"]["after_ms"]) > 0  # a busy machine varies
    assert set(states(task, inspected(python.path))) == {State.UNCHECKED}
    assert compiled_at_start(task, python.path) == 0
    checked = lamella("check", task, *options)
    assert checked.status == 0, checked.output
    by_check = {each["check"]: each for each in checked.json["findings"]}
    assert by_check["application"]["details"]["framework"] == "FastAPI"
    assert by_check["bytecode"]["level"] == "ok"


# What goes wrong


def test_an_import_that_fails_after_the_bytecode_is_written(
    task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here after so many imports as one measurement has; elsewhere a busy machine ends one."""
    probes = itertools.count()

    def run_probe(*arguments: Any, **options: Any) -> probing.Probe:
        if next(probes) < RUNS + 1:
            return probing.run_probe(*arguments, **options)
        return probing.Probe({"error": {"message": "too many"}})

    monkeypatch.setattr(measure, "run_probe", run_probe)
    done = lamella("compile", task)
    assert done.status == 0, done.output
    assert "3 modules written" in done.output
    assert "The gain was not measured: " in done.output
    assert "too many" in done.output
    assert lamella("compile", task, "--check").status == 0


def test_a_folder_that_cannot_be_written_into(task: Path) -> None:
    """A file where the folder for bytecode would be stops root, too."""
    (task / "__pycache__").write_text("in the way")
    done = lamella("compile", task, "--no-measure")
    assert done.status == 1
    assert "cannot be written into" in done.output
    assert "run this as the user who built it" in done.output
    assert "Traceback" not in done.output


def test_a_read_only_file_system_is_explained() -> None:
    stderr = "Traceback ...\nOSError: [Errno 30] Read-only file system: '/var/task/__pycache__'\n"
    message = compile_module._explained(Path("/var/task"), stderr)
    assert "a folder that is not read-only" in message


def test_an_interpreter_of_another_minor_is_refused(task: Path) -> None:
    done = lamella("compile", task, "--runtime", "python3.99", "--python", sys.executable)
    assert done.status == 2
    assert "The function's runtime is python3.99" in done.output
    assert RUNTIME.removeprefix("python") in done.output
    assert not list(task.rglob("*.pyc"))
