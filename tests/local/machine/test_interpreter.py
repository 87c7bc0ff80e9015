"""Which interpreter runs a function's folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lamella.local.machine.interpreter import InterpreterError, interpreter_for

MINOR = "{}.{}".format(*sys.version_info)


def venv(folder: Path) -> Path:
    """A folder that looks like a virtual environment of this Python."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    base = Path(sys.base_prefix) / "bin"
    (folder / "pyvenv.cfg").write_text(f"home = {base}\n")
    return python


def test_a_project_with_a_venv_runs_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    task = tmp_path / "task"
    task.mkdir()
    assert interpreter_for(task).path == sys.executable
    active = venv(tmp_path / "active")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    assert interpreter_for(task).path == str(active)
    working = venv(tmp_path / ".venv")
    assert interpreter_for(task).path == str(working)
    own = venv(task / ".venv")
    assert interpreter_for(task).path == str(own)


def test_compiled_modules_say_for_which_python_a_folder_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    package = tmp_path / "task" / "package"
    package.mkdir(parents=True)
    (package / f"fast.cpython-{MINOR.replace('.', '')}-x86_64-linux-gnu.so").touch()
    assert interpreter_for(tmp_path / "task").minor == MINOR
    (package / f"fast.cpython-{MINOR.replace('.', '')}-x86_64-linux-gnu.so").unlink()
    (package / "fast.cpython-399-x86_64-linux-gnu.so").touch()
    (tmp_path / "source").mkdir()
    assert interpreter_for(tmp_path / "source", "python3.99").minor == MINOR, "it needs no 3.99"
    with pytest.raises(InterpreterError, match=r"compiled for Python 3\.99, .* --python"):
        interpreter_for(tmp_path / "task")
