"""Which interpreters of the machine are used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from layer import build, pythons


def fake(folder: Path, name: str, answer: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return path


def says(version: str, release: str = "final", implementation: str = "cpython") -> str:
    return f"""printf '["%s", [{version}], "0000", "{implementation}", "{release}"]' "$0\""""


def test_the_running_minor_is_among_them_and_each_is_there_once() -> None:
    minors = [python.version[:2] for python in pythons.find()]
    assert sys.version_info[:2] in minors
    assert minors == sorted(set(minors))


def test_the_newest_patch_of_a_minor_wins_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pythons, "SUPPORTED", ("3.99",))
    fake(tmp_path / "bin", "python3.99", says("3, 99, 1"))
    newest = fake(tmp_path / "versions" / "3.99.4" / "bin", "python3.99", says("3, 99, 4"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert pythons.find()[-1] == pythons.Python(str(newest), (3, 99, 4), "0000")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("exit 127", id="does not run, as pyenv's shims"),
        pytest.param("echo hello", id="is no Python"),
        pytest.param(says("3, 9, 18"), id="is too old"),
        pytest.param(says("3, 99, 0"), id="is newer than those that Lambda has"),
        pytest.param(says("3, 13, 0", release="candidate"), id="is not final"),
        pytest.param(says("3, 11, 1", implementation="pypy"), id="is not CPython"),
        pytest.param(says("3, 15, 0", implementation="free-threaded"), id="is free-threaded"),
    ],
)
def test_others_are_passed_over(tmp_path: Path, answer: str) -> None:
    assert pythons.probe(str(fake(tmp_path, "python3.99", answer))) is None


def test_a_newer_one_is_ignored_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer_zip: Path
) -> None:
    newer = fake(tmp_path, "python3.99", says("3, 99, 0"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert newer not in [Path(python.path) for python in pythons.find()]
    said = build.report(layer_zip, pythons.find())
    assert f"ignored  {newer}: the newest Python of the layer is 3.15" in said
