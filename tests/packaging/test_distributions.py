"""What PyPI carries: built here, installed into fresh environments, used outside a checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

import lamella
from layer import build, pythons
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import installed
from tests.events import url_event
from tests.ports import free_port

ROOT = Path(__file__).parents[2]

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello", "more_body": True})
    await send({"type": "http.response.body", "body": b" from " + scope["path"].encode()})
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both wheels and the sdist, as `make wheels` builds them."""
    folder = tmp_path_factory.mktemp("dist")
    if not build.ZIP.exists():
        build.build(ROOT, build.ZIP)
    for where, kinds in ((ROOT, ("wheel", "sdist")), (ROOT / "layer/distribution", ("wheel",))):
        targets = [word for kind in kinds for word in ("-t", kind)]
        run("-m", "hatchling", "build", "-d", str(folder), *targets, cwd=where)
    return folder


def run(*words: str, cwd: Path, python: str = sys.executable) -> str:
    """Run an interpreter with none of this checkout on its path; what it printed."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with `lamella[local]` from a local index, and nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--find-links", str(dist), "lamella[local]", cwd=folder, python=str(python))
    return folder / "bin"


def test_one_version_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    layer = (ROOT / "layer/distribution/pyproject.toml").read_text()
    module = (ROOT / "layer/distribution/lamella_layer/__init__.py").read_text()
    version = re.escape(lamella.__version__)
    assert re.search(rf'"lamella-layer=={version}"', project)
    assert re.search(rf'^version = "{version}"', layer, re.MULTILINE)
    assert re.search(rf'^__version__ = "{version}"', module, re.MULTILINE)


def test_a_function_gets_two_megabytes_at_most_and_no_dependency(dist: Path) -> None:
    (wheel,) = dist.glob("lamella-0*.whl")
    with zipfile.ZipFile(wheel) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    assert size < 2 * 1024 * 1024
    required = re.findall("^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert required
    assert all("extra ==" in requirement for requirement in required)


def test_an_sdist_builds_the_same_wheel_without_the_network(dist: Path, tmp_path: Path) -> None:
    (sdist,) = dist.glob("lamella-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run("-m", "hatchling", "build", "-d", str(tmp_path / "again"), "-t", "wheel", cwd=source)
    (first,), (again,) = dist.glob("lamella-0*.whl"), (tmp_path / "again").glob("*.whl")
    assert names(first) == names(again)


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_command_knows_its_layer(fresh: Path, tmp_path: Path) -> None:
    told = json.loads(
        run(str(fresh / "lamella"), "layer", "info", "--json", cwd=tmp_path, python="/usr/bin/env")
    )
    assert told["version"] == lamella.__version__
    assert told["path"].endswith("lamella_layer/lamella-layer.zip")
    run(str(fresh / "lamella"), "layer", "unpack", "opt", cwd=tmp_path, python="/usr/bin/env")
    assert os.access(tmp_path / "opt" / "bootstrap", os.X_OK)


def test_an_application_in_an_empty_folder_is_served(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    port = str(free_port())
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [fresh / "lamella", "run", "main:app", "--port", port],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert answer(f"http://127.0.0.1:{port}/x", process) == "hello from /x"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def answer(url: str, process: subprocess.Popen[str]) -> str:
    """The body of the first answer, once somebody listens."""
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(transport=transport, timeout=20) as client:
        while process.poll() is None:
            try:
                return client.get(url).text
            except httpx.ConnectError:
                continue
    raise AssertionError(process.stdout.read() if process.stdout else "it has ended")


@pytest.mark.anyio
async def test_a_function_with_the_wheel_serves_by_one_line(
    dist: Path, tmp_path: Path, python: pythons.Python
) -> None:
    """`lamella` among the requirements and a handler: no layer, no variable, no wrapper."""
    (wheel,) = dist.glob("lamella-0*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "main.py").write_text(APP)
    ric = installed(python, "awslambdaric", "awslambdaric==4.2.2")
    handler = "lamella.serve.main:app"
    options: Any = {"wrapper": None, "command": (python.path, "-m", "awslambdaric", handler)}
    variables = {"PYTHONPATH": f"{tmp_path}:{ric}"}
    judge = LocalJudge(tmp_path, python.path, tmp_path, variables, handler=handler, **options)
    async with judge:
        outcome = await judge.invoke(url_event("/y"))
    assert outcome.result["body"] == "hello from /y"
