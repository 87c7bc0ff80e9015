"""The built layer in Lambda-like containers; docs/layer.md says how Lambda-like they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from layer.pythons import Python
from tests.docker import engine
from tests.docker.function import Config, Function

BARE = Path(__file__).parents[1] / "e2e" / "function"
FUNCTIONS = Path(__file__).parent / "functions"
EXAMPLES = Path(__file__).parents[2] / "examples"

StartFunction = Callable[..., Function]

_RUNNING = pytest.StashKey[list[Function]]()
_CONFIG = {"handler", "wrapper", "memory", "own_entry"}


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """The engine; where none answers, the tests are skipped and say so."""
    try:
        connected = docker.from_env(timeout=300)
        connected.ping()
    except DockerException as error:
        pytest.skip(
            f"NOT TESTED: no Docker engine answers ({error}). "
            "Start one (Debian: apt-get install docker.io; service docker start), "
            "or name it in DOCKER_HOST."
        )
    engine.remove_abandoned(connected)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def image(client: docker.DockerClient, python: Python) -> str:
    """The Lambda-like image of each Python."""
    return engine.base_image(client, python)


@pytest.fixture
def start(
    request: pytest.FixtureRequest, client: docker.DockerClient, image: str, opt: Path
) -> Iterator[StartFunction]:
    """Start a function: `start(ASGI_APP="main:app", task=folder, memory=128)`; see Config.

    The layer is at /opt and `task` at /var/task, unless an image has them (`own_image`);
    `mounts` adds files and folders.
    """
    running = request.node.stash.setdefault(_RUNNING, [])

    def start(
        task: Path = BARE,
        layer: Path = opt,
        own_image: str = "",
        mounts: Mapping[str, Path] = MappingProxyType({}),
        **options: Any,
    ) -> Function:
        known = {name: options.pop(name) for name in _CONFIG & options.keys()}
        content = {} if own_image else {"/opt": layer, "/var/task": task}
        setup = {"environ": options, "own_entry": bool(own_image), **known}
        config = Config(own_image or image, {**content, **mounts}, **setup)
        function = Function(client, config)
        running.append(function)
        function.start()
        return function

    yield start
    for function in running:
        function.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the log of a failed test's containers, which are still there."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        for function in item.stash.get(_RUNNING, []):
            report.sections.append((f"Log of {function.container.name}", function.log))
