"""The example projects, one for each deploy tool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lamella.local.machine.bytecode import State, states
from lamella.local.machine.interpreter import inspected
from layer import pythons

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples" / "deploy"
TOOLS = ("sam", "cdk", "terraform", "serverless")

WITH_PIP = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""A PATH with the tests' own environment first: it has pip, which Debian's Python lacks, and uv."""

PYTHON_3_13 = next((each.path for each in pythons.find() if each.minor == "3.13"), None)
"""The interpreter that compiles the projects: they are for python3.13."""

WITH_3_13 = f"{WITH_PIP}:{Path(PYTHON_3_13).parent}" if PYTHON_3_13 else WITH_PIP
"""WITH_PIP, and that interpreter after it."""

needs_python_3_13 = pytest.mark.skipif(
    PYTHON_3_13 is None,
    reason="no python3.13, which compiles the projects: uv python install 3.13",
)

STREAMING = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
    "ASGI_APP": "main:app",
    "ASGI_INVOKE_MODE": "response_stream",
}
"""The variables that every project behind a Function URL sets."""


def copied(tool: str, folder: Path) -> Path:
    """A copy of the tool's project, to build in."""
    ignore = shutil.ignore_patterns("build", ".aws-sam", "cdk.out", ".terraform*", "*.zip")
    return shutil.copytree(DEPLOY / tool, folder / tool, ignore=ignore)


def assert_compiled(function: Path) -> None:
    """Whether every module has bytecode for Lambda's Python 3.13 that nothing can make stale."""
    assert (function / "main.py").is_file()
    found = states(function, inspected(str(PYTHON_3_13)))
    assert set(found) == {State.UNCHECKED}, found
    assert found.total() > 100
    natives = [path.name for path in function.rglob("*.so")]
    assert natives
    assert all("cpython-313-aarch64-linux-gnu" in name for name in natives)


def run(*command: object, cwd: Path, **environ: str) -> str:
    """Run a tool, and return what it printed; its output is the message where it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def hcl(path: Path) -> dict[str, dict[str, Any]]:
    """The resources of a Terraform file by type and name; what they refer to is declared there."""
    parsed = parsed_hcl(path)
    resources: dict[str, dict[str, Any]] = {}
    for entry in parsed["resource"]:
        for kind, body in entry.items():
            resources.setdefault(kind, {}).update(body)
    declared = {f"{kind}.{name}" for kind, body in resources.items() for name in body}
    declared |= {
        f"data.{kind}.{name}"
        for entry in parsed.get("data", ())
        for kind, body in entry.items()
        for name in body
    }
    used = set(
        re.findall(r"(?<![.\w])((?:data\.)?(?:aws|archive|external)_\w+\.\w+)\.", path.read_text())
    )
    assert used <= declared, used - declared
    return resources


def parsed_hcl(path: Path) -> dict[str, Any]:
    """A Terraform file, without the quotes that the parser leaves around names and strings."""
    import hcl2

    def unquoted(value: Any) -> Any:
        if isinstance(value, dict):
            return {unquoted(key): unquoted(each) for key, each in value.items()}
        if isinstance(value, list):
            return [unquoted(each) for each in value]
        return value.strip('"') if isinstance(value, str) else value

    with path.open() as file:
        parsed: dict[str, Any] = unquoted(hcl2.load(file))
    return parsed
