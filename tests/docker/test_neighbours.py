"""The layer beside what others bring: another layer, the function's own copies, a wrapper."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from layer.pythons import Python
from tests.docker.conftest import FUNCTIONS, StartFunction
from tests.docker.function import Function
from tests.e2e.packages import awslambdaric
from tests.events import url_event


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return copy(FUNCTIONS / "neighbours", tmp_path / "task")


def copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    target.chmod(0o755)
    return target


def package(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").touch()


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def ask(function: Function, *modules: str) -> dict[str, Any]:
    found: dict[str, Any] = function.invoke(url_event("/", query=",".join(modules))).content
    return found


@pytest.mark.parametrize("handler", [False, True], ids=["bootstrap", "handler"])
def test_another_layer(
    start: StartFunction, task: Path, opt: Path, tmp_path: Path, python: Python, handler: bool
) -> None:
    """Merged into one /opt, with packages in both folders that Lambda knows."""
    merged = copy(opt, tmp_path / "opt")
    versioned = f"python/lib/python{python.minor}/site-packages"
    package(merged / "python", "theirs")
    package(merged / versioned, "theirs_too")
    way = {"handler": "lamella.handler", "wrapper": ""} if handler else {}
    function = start(task=task, layer=merged, ASGI_APP="main:app", **way)
    assert ask(function, "lamella", "theirs", "theirs_too")["modules"] == {
        "lamella": "/opt/python/lamella/__init__.py",
        "theirs": "/opt/python/theirs/__init__.py",
        "theirs_too": f"/opt/{versioned}/theirs_too/__init__.py",
    }


def test_a_function_gets_its_own_awslambdaric_and_simplejson(
    start: StartFunction, task: Path, python: Python
) -> None:
    packages = awslambdaric(python)
    shutil.copytree(packages, task, dirs_exist_ok=True)
    names = ["awslambdaric", "awslambdaric.bootstrap", "simplejson", "snapshot_restore_py"]
    files = ask(start(task=task, ASGI_APP="main:app"), *names)["modules"]
    assert all(file.startswith("/var/task/") for file in files.values()), files


def test_without_its_own_it_gets_the_managed_runtimes(start: StartFunction, task: Path) -> None:
    files = ask(start(task=task, ASGI_APP="main:app"), "awslambdaric", "simplejson")["modules"]
    assert all(file.startswith("/var/runtime/") for file in files.values()), files


WRAPPER = """#!/bin/sh
# as the one in AWS's guide: an interpreter option before the last word
export WRAPPED_BY="$0"
exec "$1" -X importtime "$2"
"""


def test_a_second_wrapper_runs_in_between(
    start: StartFunction, task: Path, opt: Path, tmp_path: Path, python: Python
) -> None:
    merged = copy(opt, tmp_path / "opt")
    script(merged / "measure", WRAPPER)
    function = start(task=task, layer=merged, ASGI_APP="main:app", ASGI_EXEC_WRAPPER="/opt/measure")
    answer = ask(function, "lamella")
    interpreter = f"/var/lang/bin/python{python.minor}"
    assert answer["arguments"] == [interpreter, "-X", "importtime", "/opt/lamella/runtime.py"]
    assert answer["environ"]["WRAPPED_BY"] == "/opt/measure"
    assert answer["environ"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
    assert function.has_logged("lamella.service")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"ASGI_EXEC_WRAPPER": "/opt/missing"},
            "ASGI_EXEC_WRAPPER=/opt/missing does not exist: add the layer that carries it",
            id="second",
        ),
        pytest.param({"wrapper": "/opt/nothing"}, "/opt/nothing: does not exist", id="first"),
    ],
)
def test_a_missing_wrapper_is_named_in_the_log(
    start: StartFunction, task: Path, variables: dict[str, str], message: str
) -> None:
    function = start(task=task, ASGI_APP="main:app", **variables)
    assert function.invoke(url_event("/")).payload == b"", "the emulator has no words for it"
    assert function.has_logged(message)
