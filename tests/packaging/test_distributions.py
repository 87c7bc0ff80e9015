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
from tests.e2e.packages import awslambdaric
from tests.events import url_event
from tests.moto_server import moto_server
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
    """Both wheels and both sdists, as the workflow that releases builds them."""
    folder = tmp_path_factory.mktemp("dist")
    if not build.ZIP.exists():
        build.build(ROOT, build.ZIP)
    for where in (ROOT, ROOT / "layer/distribution"):
        targets = ("-t", "wheel", "-t", "sdist")
        environ = {"GITHUB_REPOSITORY": "owner/name"}
        run("-m", "hatchling", "build", "-d", str(folder), *targets, cwd=where, **environ)
    return folder


def run(*words: str, cwd: Path, python: str = sys.executable, **variables: str) -> str:
    """Run an interpreter with none of this checkout on its path; what it printed."""
    ours = ("PYTHONPATH", "GITHUB_REPOSITORY")
    environ = {name: value for name, value in os.environ.items() if name not in ours} | variables
    done = subprocess.run(
        [python, *words], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(folder: Path, dist: Path, requirement: str) -> Path:
    """The `bin` of an environment with `requirement` from a local index, and nothing else."""
    venv.create(folder)
    options = ("--quiet", "--python", str(folder), "--find-links", str(dist))
    run("-m", "uv", "pip", "install", *options, requirement, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def fresh(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with `lamella[local]`."""
    return environment(tmp_path_factory.mktemp("fresh"), dist, "lamella[local]")


@pytest.fixture(scope="module")
def publisher(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with `lamella[publish]`, as `uvx --from` makes one."""
    return environment(tmp_path_factory.mktemp("publisher"), dist, "lamella[publish]")


def test_one_version_everywhere() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    layer = (ROOT / "layer/distribution/pyproject.toml").read_text()
    module = (ROOT / "layer/distribution/lamella_layer/__init__.py").read_text()
    version = re.escape(lamella.__version__)
    assert re.findall(r'"lamella-layer==(.*?)"', project) == [lamella.__version__] * 2
    assert re.search(rf'^version = "{version}"', layer, re.MULTILINE)
    assert re.search(rf'^__version__ = "{version}"', module, re.MULTILINE)
    template = (ROOT / "template.yaml").read_text()
    assert re.search(rf'^    SemanticVersion: "{version}"', template, re.MULTILINE)


def test_a_function_gets_two_megabytes_at_most_and_no_dependency(dist: Path) -> None:
    (wheel,) = dist.glob("lamella-0*.whl")
    with zipfile.ZipFile(wheel) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    assert size < 2 * 1024 * 1024
    required = re.findall("^Requires-Dist: (.*)$", metadata(wheel), re.MULTILINE)
    assert required
    assert all("extra ==" in requirement for requirement in required)


def metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        return archive.read(name).decode()


def test_no_link_of_the_page_on_pypi_is_relative(dist: Path) -> None:
    (wheel,) = dist.glob("lamella-0*.whl")
    links = re.findall(r"\]\(([^)]+)\)", metadata(wheel))
    version = f"v{lamella.__version__}"
    assert f"https://github.com/owner/name/blob/{version}/docs/testing.md" in links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert "Project-URL: Source, https://github.com/owner/name\n" in metadata(wheel)
    images = re.findall(r"!\[[^]]*\]\(([^)]+)\)", metadata(wheel))
    assert all(f"//raw.githubusercontent.com/owner/name/{version}/" in each for each in images)


@pytest.mark.parametrize("name", ["lamella", "lamella_layer"])
def test_an_sdist_builds_the_same_wheel_without_the_network(
    dist: Path, tmp_path: Path, name: str
) -> None:
    (sdist,) = dist.glob(f"{name}-0*.tar.gz")
    with tarfile.open(sdist) as archive:
        # What extractall(filter="data") is from Python 3.11.4 on.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    run("-m", "hatchling", "build", "-d", str(tmp_path / "again"), "-t", "wheel", cwd=source)
    (first,), (again,) = dist.glob(f"{name}-0*.whl"), (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(first) as expected, zipfile.ZipFile(again) as got:
        files = {n: expected.read(n) for n in expected.namelist() if not n.endswith("/RECORD")}
        assert files == {n: got.read(n) for n in got.namelist() if not n.endswith("/RECORD")}


def test_the_command_knows_its_layer(fresh: Path, tmp_path: Path) -> None:
    told = json.loads(
        run(str(fresh / "lamella"), "layer", "info", "--json", cwd=tmp_path, python="/usr/bin/env")
    )
    assert told["version"] == lamella.__version__
    assert told["path"].endswith("lamella_layer/lamella-layer.zip")
    run(str(fresh / "lamella"), "layer", "unpack", "opt", cwd=tmp_path, python="/usr/bin/env")
    assert os.access(tmp_path / "opt" / "bootstrap", os.X_OK)


def test_the_layer_is_published_from_an_empty_folder(publisher: Path, tmp_path: Path) -> None:
    command = (str(publisher / "lamella"), "layer")
    told = json.loads(run(*command, "info", "--json", cwd=tmp_path, python="/usr/bin/env"))
    assert told["path"].endswith("lamella_layer/lamella-layer.zip")
    assert "--region" in run(*command, "publish", "--help", cwd=tmp_path, python="/usr/bin/env")
    with moto_server() as place:
        aws = "AWS_ENDPOINT_URL=http://{}:{}".format(*place)
        keys = ("AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing")
        publish = (aws, *keys, *command, "publish", "--region", "eu-west-1", "--yes")
        output = run(*publish, cwd=tmp_path, python="/usr/bin/env")
    # The number is moto's, which counts for all tests of this process.
    assert re.fullmatch(r"arn:aws:lambda:eu-west-1:123456789012:layer:lamella:\d+\n", output)
    assert list(tmp_path.iterdir()) == []


def test_a_command_without_its_extra_names_it(publisher: Path, tmp_path: Path) -> None:
    command = (str(publisher / "lamella"),)
    listed = run(*command, "--help", cwd=tmp_path, python="/usr/bin/env")
    assert re.search(r'run +Needs pip install "lamella\[local\]"', listed)
    for words in (("run", "main:app", "--port", "1"), ("run", "--help")):
        done = subprocess.run(
            [*command, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.startswith("Error: The command `lamella run` needs ")
        assert done.stderr.endswith('an extra: pip install "lamella[local]"\n')


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
        process.communicate(timeout=60)


def test_the_folder_is_checked_and_compiled(fresh: Path, tmp_path: Path) -> None:
    """The two commands between build and deploy, from nothing but the wheels."""
    (tmp_path / "main.py").write_text(APP)
    env = {"python": "/usr/bin/env", "cwd": tmp_path}
    compiled = json.loads(run(str(fresh / "lamella"), "compile", ".", "--json", **env))  # type: ignore[arg-type]
    assert compiled["written"] == 1
    checked = json.loads(run(str(fresh / "lamella"), "check", ".", "--json", **env))  # type: ignore[arg-type]
    assert checked["level"] == "ok"
    assert {"application", "bytecode"} <= {each["check"] for each in checked["findings"]}


def answer(url: str, process: subprocess.Popen[str]) -> str:
    """The body of the first answer, once somebody listens."""
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(transport=transport, timeout=60) as client:
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
    ric = awslambdaric(python)
    handler = "lamella.serve.main:app"
    options: Any = {"wrapper": None, "command": (python.path, "-m", "awslambdaric", handler)}
    variables = {"PYTHONPATH": f"{tmp_path}:{ric}"}
    judge = LocalJudge(tmp_path, python.path, tmp_path, variables, handler=handler, **options)
    async with judge:
        outcome = await judge.invoke(url_event("/y"))
    assert outcome.result["body"] == "hello from /y"
