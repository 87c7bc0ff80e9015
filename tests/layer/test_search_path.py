"""`sys.path` as the managed runtime sets it up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lamella.runtime.search_path import search_path
from tests.layer.conftest import ROOT

STDLIB = [
    "/var/lang/lib/python313.zip",
    "/var/lang/lib/python3.13",
    "/var/lang/lib/python3.13/lib-dynload",
]
SITE = "/var/lang/lib/python3.13/site-packages"
LAMBDA = {"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime"}
LAYERS = ["/opt/python/lib/python3.13/site-packages", "/opt/python"]

# Observed on AWS under python3.13.
MANAGED = ["/var/task", *LAYERS, SITE, "/var/runtime", *STDLIB]


@pytest.mark.parametrize(
    ("environ", "initial", "expected"),
    [
        pytest.param(LAMBDA, [*STDLIB, SITE], MANAGED, id="no PYTHONPATH"),
        pytest.param(
            {**LAMBDA, "PYTHONPATH": "/var/runtime"},
            ["/var/runtime", *STDLIB, SITE],
            MANAGED,
            id="PYTHONPATH is Lambda's own",
        ),
        pytest.param(
            {**LAMBDA, "PYTHONPATH": "/var/task/lib"},
            ["/var/task/lib", *STDLIB, SITE],
            ["/var/task", "/var/runtime", "/var/task/lib", *STDLIB, SITE],
            id="PYTHONPATH is the user's: no layers",
        ),
        pytest.param(
            {**LAMBDA, "PYTHONPATH": "/opt/python"},
            ["/opt/python", *STDLIB, SITE],
            ["/var/task", "/var/runtime", "/opt/python", *STDLIB, SITE],
            id="PYTHONPATH names the layers",
        ),
        pytest.param(
            {"LAMBDA_TASK_ROOT": "/app"},
            [*STDLIB, SITE],
            ["/app", *LAYERS, SITE, *STDLIB],
            id="an image without /var/runtime",
        ),
        pytest.param(
            {"LAMBDA_TASK_ROOT": "/app"},
            ["/usr/lib/python3.13", "/usr/lib/python3/dist-packages", "/from/a.pth"],
            [
                "/app",
                *LAYERS,
                "/usr/lib/python3/dist-packages",
                "/usr/lib/python3.13",
                "/from/a.pth",
            ],
            id="Debian's Python",
        ),
        pytest.param(
            LAMBDA, ["/var/task", *STDLIB, "/var/task", SITE], MANAGED, id="no folder comes twice"
        ),
    ],
)
def test_order(environ: dict[str, str], initial: list[str], expected: list[str]) -> None:
    assert search_path(environ, "/opt", initial, (3, 13), exists=lambda _: True) == expected


def test_folders_that_do_not_exist_are_left_out_but_for_the_task_root() -> None:
    path = search_path(LAMBDA, "/opt", [*STDLIB, SITE], (3, 13), exists=lambda _: False)
    assert path == ["/var/task", SITE, *STDLIB]


def test_without_a_task_root_the_current_folder_is_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search_path({}, "/opt", [], (3, 13), exists=lambda _: False) == [str(tmp_path)]


INSTALL = """
import os, sys
sys.path.insert(0, {src!r})
from lamella.runtime import search_path
sys.path[0] = {layer!r} + "/python"
search_path.install({layer!r})
import json
print(json.dumps([sys.path, os.environ.get("PYTHONPATH")]))
"""


@pytest.fixture
def install(tmp_path: Path) -> InstallFixture:
    return InstallFixture(tmp_path)


class InstallFixture:
    """A function with a layer; each call starts an interpreter that installs the search path."""

    def __init__(self, folder: Path) -> None:
        self.task, self.layer, self.runtime = folder / "task", folder / "opt", folder / "runtime"
        for path in [self.task, self.layer / "python", self.runtime]:
            path.mkdir(parents=True)

    def __call__(self, **environ: str) -> tuple[list[str], str | None]:
        import json

        text = INSTALL.format(src=str(ROOT / "src"), layer=str(self.layer))
        where = {"LAMBDA_TASK_ROOT": str(self.task), "LAMBDA_RUNTIME_DIR": str(self.runtime)}
        done = subprocess.run(
            [sys.executable, "-c", text],
            env={**where, **environ},
            capture_output=True,
            check=True,
        )
        path, pythonpath = json.loads(done.stdout)
        return path, pythonpath


def test_pth_files_of_function_and_layer_are_followed(
    install: InstallFixture, tmp_path: Path
) -> None:
    extra = [tmp_path / "extra-of-task", tmp_path / "extra-of-layer"]
    for folder, home in zip(extra, [install.task, install.layer / "python"], strict=True):
        folder.mkdir()
        (home / "more.pth").write_text(f"{folder}\n")
    path, _ = install()
    assert path[:2] == [str(install.task), str(install.layer / "python")]
    assert path[-2:] == [str(folder) for folder in extra]


def test_children_find_awss_folder_unless_the_user_set_pythonpath(
    install: InstallFixture,
) -> None:
    assert install()[1] == str(install.runtime)
    assert install(PYTHONPATH="/mine")[1] == "/mine"
