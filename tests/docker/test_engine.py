"""The tests' own manners: skipped aloud, logs shown on failure, nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from layer.build import ROOT
from tests.docker import engine
from tests.e2e.packages import USUAL


def run_failing(**environ: str) -> str:
    """What pytest prints about failing.py on one Python."""
    command = [sys.executable, "-m", "pytest", "-k", USUAL.minor, "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, str(Path(__file__).with_name("failing.py"))],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
    ).stdout


def test_without_an_engine_the_tests_are_skipped_aloud() -> None:
    printed = run_failing(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert "1 skipped" in printed
    assert re.search(
        r"1 skipped: NOT TESTED: no Docker engine answers.*service docker start", printed
    )


def test_a_failure_shows_the_log_and_leaves_no_container(client: docker.DockerClient) -> None:
    printed = run_failing()
    assert "1 failed" in printed
    assert "OSError: [Errno 30] Read-only file system: '/var/task/uploads'" in printed
    found = re.search(r"AssertionError: container (\w+) is to be removed", printed)
    assert found is not None
    with pytest.raises(NotFound):
        client.containers.get(found[1])


def test_containers_of_a_killed_run_are_removed_by_the_next(client: docker.DockerClient) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    owners = [engine.OWNER, engine.OWNER.replace(str(os.getpid()), str(dead.pid)), "elsewhere:1"]
    image = engine.base_image(client, USUAL)
    made = [client.containers.create(image, labels={engine.LABEL: owner}) for owner in owners]
    try:
        engine.remove_abandoned(client)
        left = {each.id for each in client.containers.list(all=True, ignore_removed=True)}
        assert [each.id in left for each in made] == [True, False, True]
    finally:
        for container in made:
            if container.id in left:
                container.remove(force=True)


def test_a_container_that_goes_while_they_are_listed_is_no_fault(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker, or another run beside, removes its own at any time."""
    listed = client.api.containers

    def and_one_that_is_gone(**options: Any) -> list[Any]:
        return [*listed(**options), {"Id": "0" * 64}]

    monkeypatch.setattr(client.api, "containers", and_one_that_is_gone)
    engine.remove_abandoned(client)
