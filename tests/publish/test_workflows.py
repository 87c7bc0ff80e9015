"""GitHub's workflows: pinned, without needless rights, for the Pythons that are supported."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from layer import build
from layer.build import ROOT
from layer.pythons import SUPPORTED

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)
    return value


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["docs.yml", "release.yml", "test.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.name))
def test_actions_are_pinned_by_commit_and_say_which_release_that_is(path: Path) -> None:
    uses = re.findall(r"^\s+(?:- )?uses: (.+)$", path.read_text(), re.M)
    assert uses
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/\S+")
    assert [each for each in uses if not pinned.fullmatch(each)] == []


def test_one_action_has_one_pin() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS)
    pins = set(re.findall(r"uses: (\S+)@(\S+)", text))
    assert len({action for action, _ in pins}) == len(pins)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.name))
def test_rights_are_given_to_jobs_one_by_one(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


def test_only_the_draft_may_write_to_the_repository() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    writers = [name for name, job in jobs.items() if job["permissions"].get("contents") == "write"]
    assert writers == ["draft"]


def test_pypi_trusts_the_workflow_and_nobody_keeps_a_token() -> None:
    """An environment that a person approves, and no job before it that may sign or write."""
    job = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["pypi"]
    assert job["environment"] == "pypi"
    assert job["permissions"]["id-token"] == "write"
    (upload,) = (step for step in job["steps"] if "pypi-publish" in step.get("uses", ""))
    assert upload["with"].keys().isdisjoint({"password", "user"})
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()


def test_every_supported_python_is_tested_and_released() -> None:
    _, release, test = map(load, WORKFLOWS)
    assert test["jobs"]["test"]["strategy"]["matrix"]["python"] == list(SUPPORTED)
    assert release["env"]["PYTHONS"].split() == list(SUPPORTED)


@pytest.mark.parametrize(
    ("tag", "status"), [(f"v{build.version(ROOT)}", 0), ("v0.0.0", 1), (build.version(ROOT), 1)]
)
def test_a_tag_that_is_not_the_version_makes_no_release(tag: str, status: int) -> None:
    steps = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["build"]["steps"]
    script = next(step["run"] for step in steps if step.get("name") == "The tag is the version")
    done = subprocess.run(
        ["bash", "-ec", script], cwd=ROOT, env={**os.environ, "TAG": tag}, capture_output=True
    )
    assert done.returncode == status
    assert (b"::error::the tag is" in done.stdout) == bool(status)
