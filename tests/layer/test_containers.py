"""Pythons in containers: what the build says where one is missing, with a docker of our own.

tests/docker/test_bytecode.py compiles in real containers.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from layer import BuildError, build, containers, pythons
from layer.pythons import Python
from tests.layer.test_pythons import fake, says


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, for a docker command."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_the_image_is_asked_for_its_python(docker: Path) -> None:
    fake(docker, "docker", f'echo "$@" >{docker}/said\n{says("3, 14, 2")}')
    assert containers.find(["3.14"], "python:{version}-slim") == [
        Python("python3.14", (3, 14, 2), "0000", image="python:3.14-slim")
    ]
    words = (docker / "said").read_text().split()
    assert words[:2] == ["run", "--rm"]
    assert "--network=none" in words
    assert words[words.index("--entrypoint") + 1 :][:2] == ["python3.14", "python:3.14-slim"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            "echo 'no such image' >&2; exit 125",
            r"needs Docker and the image mine:3\.14 .*docker said:\nno such image",
            id="no image or engine",
        ),
        pytest.param("echo hello", r"starting python3\.14 there: Expecting value", id="no Python"),
        pytest.param(says("3, 13, 1"), r"its python3\.14 is Python\(.*3, 13, 1", id="another"),
        pytest.param(says("3, 14, 0", release="alpha"), "no final release of CPython", id="alpha"),
    ],
)
def test_an_image_of_no_use_ends_the_build(docker: Path, answer: str, message: str) -> None:
    fake(docker, "docker", answer)
    with pytest.raises(BuildError, match=f"(?s){message}"):
        containers.find(["3.14"], "mine:{version}")


def test_without_a_docker_command_it_says_so(docker: Path) -> None:
    with pytest.raises(BuildError, match="there is no docker command on PATH"):
        containers.find(["3.14"])


def test_the_build_names_the_minors_without_bytecode(
    layer_zip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pythons.find()
    monkeypatch.setattr(pythons, "SUPPORTED", (found[0].minor, "3.99"))
    said = build.report(layer_zip, found)
    assert "bytecode 3.99 is missing: functions on it compile the layer on each cold" in said
    assert "make layer BYTECODE=docker" in said
    assert f"bytecode {found[0].minor} is missing" not in said


def test_the_supported_minors_are_those_of_the_package() -> None:
    classifiers = (build.ROOT / "pyproject.toml").read_text()
    for minor in pythons.SUPPORTED:
        assert f'"Programming Language :: Python :: {minor}"' in classifiers
    assert classifiers.count("Python :: 3.") == len(pythons.SUPPORTED)
