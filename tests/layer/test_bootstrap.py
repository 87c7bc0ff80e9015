"""The bootstrap: what it execs as exec wrapper, as entry point, and with a wrapper in between."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layer.conftest import ROOT

SHOW = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n'
PASS_ON = '#!/bin/sh\necho wrapped by "$0"\nexec "$@"\n'
LEAD_BACK = '#!/bin/sh\necho once\nexec {layer}/bootstrap "$@"\n'


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer that holds the real bootstrap; its runtime.py is never reached."""
    folder = tmp_path / "opt of mine"
    (folder / "lamella").mkdir(parents=True)
    (folder / "lamella" / "runtime.py").touch()
    shutil.copy(ROOT / "bootstrap" / "bootstrap", folder)
    return folder


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """An interpreter that prints the words it was started with."""
    return script(tmp_path / "lang" / "python3.13", SHOW)


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def run(*command: Path | str, **environ: str) -> tuple[int, str, str]:
    """Returns exit status, lines printed, and what went to stderr."""
    done = subprocess.run(
        [str(word) for word in command],
        env={"PATH": "/nowhere", **environ},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_as_exec_wrapper_it_runs_its_own_script_with_lambdas_interpreter(
    layer: Path, interpreter: Path
) -> None:
    # PATH leads nowhere: were another program needed, this would fail.
    done = run(layer / "bootstrap", interpreter, "/var/runtime/bootstrap.py")
    assert done == (0, f"{interpreter}\n{layer}/lamella/runtime.py\n", "")


def test_as_entry_point_it_finds_python3_on_path(layer: Path, tmp_path: Path) -> None:
    python3 = script(tmp_path / "bin" / "python3", SHOW)
    expected = (0, f"{python3}\n{layer}/lamella/runtime.py\n", "")
    assert run(layer / "bootstrap", PATH=str(python3.parent)) == expected


def test_a_cmd_that_is_no_interpreter_is_ignored(
    layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    python3 = script(tmp_path / "bin" / "python3", SHOW)
    (tmp_path / "main:app").mkdir()
    for word in ["main:app", "./main:app", "app/main:app"]:
        status, output, _ = run(
            layer / "bootstrap", word, PATH=str(python3.parent), python="inherited"
        )
        assert (status, output) == (0, f"{python3}\n{layer}/lamella/runtime.py\n")


def test_without_any_python_it_says_where_it_looked(layer: Path) -> None:
    status, _, error = run(layer / "bootstrap", "main:app", PATH="/empty")
    assert status == 127
    assert "no python3 on PATH=/empty" in error


@pytest.mark.parametrize("how", ["link", "relative"])
def test_it_finds_its_layer_through_a_link_and_a_relative_path(
    layer: Path, interpreter: Path, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(layer / "bootstrap")
    command = link if how == "link" else f"./{layer.name}/bootstrap"
    status, output, _ = run(command, interpreter, PATH="/usr/bin:/bin")
    assert status == 0
    assert Path(output.splitlines()[1]).resolve() == layer / "lamella" / "runtime.py"


def test_copied_without_the_rest_of_the_layer_it_says_so(layer: Path, interpreter: Path) -> None:
    (layer / "lamella" / "runtime.py").unlink()
    status, _, error = run(layer / "bootstrap", interpreter)
    assert status == 127
    assert f"{layer}/lamella/runtime.py does not exist" in error


def test_another_wrapper_runs_in_between_with_two_words(
    layer: Path, interpreter: Path, tmp_path: Path
) -> None:
    wrapper = script(tmp_path / "otel-instrument", PASS_ON)
    status, output, _ = run(
        layer / "bootstrap", interpreter, "/var/runtime/x.py", ASGI_EXEC_WRAPPER=str(wrapper)
    )
    assert status == 0
    assert output.splitlines() == [
        f"wrapped by {wrapper}",
        str(interpreter),
        f"{layer}/lamella/runtime.py",
    ]


@pytest.mark.parametrize("itself", [True, False])
def test_a_wrapper_that_leads_back_does_so_once(
    layer: Path, interpreter: Path, tmp_path: Path, itself: bool
) -> None:
    leads_back = LEAD_BACK.format(layer=str(layer).replace(" ", "\\ "))
    wrapper = layer / "bootstrap" if itself else script(tmp_path / "loop", leads_back)
    status, output, _ = run(layer / "bootstrap", interpreter, ASGI_EXEC_WRAPPER=str(wrapper))
    assert status == 0
    expected = [str(interpreter), f"{layer}/lamella/runtime.py"]
    assert output.splitlines() == (expected if itself else ["once", *expected])


def test_a_missing_wrapper_is_named(layer: Path, interpreter: Path) -> None:
    status, output, error = run(
        layer / "bootstrap", interpreter, ASGI_EXEC_WRAPPER="/opt/otel-handler"
    )
    assert (status, output) == (127, "")
    assert "ASGI_EXEC_WRAPPER=/opt/otel-handler does not exist" in error


def test_a_wrapper_without_its_executable_bit_is_named(
    layer: Path, interpreter: Path, tmp_path: Path
) -> None:
    wrapper = script(tmp_path / "wrapper", PASS_ON, mode=0o644)
    status, output, error = run(layer / "bootstrap", interpreter, ASGI_EXEC_WRAPPER=str(wrapper))
    assert (status, output) == (126, "")
    assert f"ASGI_EXEC_WRAPPER={wrapper} is not executable" in error


@pytest.mark.parametrize("given", [None, "/somewhere"])
def test_pythonpath_is_passed_on_as_it_was(layer: Path, tmp_path: Path, given: str | None) -> None:
    interpreter = script(tmp_path / "python3", '#!/bin/sh\necho "${PYTHONPATH-unset}"\n')
    environ = {} if given is None else {"PYTHONPATH": given}
    assert run(layer / "bootstrap", interpreter, **environ)[1] == f"{given or 'unset'}\n"


@pytest.mark.parametrize("safe_path", [{}, {"PYTHONSAFEPATH": "1"}], ids=["plain", "safe path"])
def test_the_script_starts_the_lamella_of_its_own_layer(
    layer: Path, tmp_path: Path, safe_path: dict[str, str]
) -> None:
    shutil.copy(ROOT / "bootstrap" / "runtime.py", layer / "lamella")
    shown = (
        "def main(layer, thresholds):\n    import sys\n"
        "    print(layer, __file__, sys.path[0], sep='\\n')\n"
    )
    for place, text in [(layer / "python", shown), (tmp_path / "decoy", "the wrong one")]:
        package = place / "lamella"
        script(package / "runtime" / "main.py", text)
        (package / "__init__.py").touch()
        (package / "runtime" / "__init__.py").touch()
    status, output, error = run(
        layer / "bootstrap", sys.executable, PYTHONPATH=str(tmp_path / "decoy"), **safe_path
    )
    assert (status, error) == (0, "")
    own = layer / "python"
    assert output.splitlines() == [str(layer), f"{own}/lamella/runtime/main.py", str(own)]
