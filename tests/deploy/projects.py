"""The example projects, one for each deploy tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples" / "deploy"
TOOLS = ("sam", "cdk", "terraform", "serverless")

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
