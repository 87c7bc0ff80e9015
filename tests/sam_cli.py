"""AWS's SAM CLI, which `make sam` installs, as a judge of templates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAM = shutil.which("sam", path=f"{ROOT}/.venv-sam/bin:{os.environ.get('PATH', '')}")

needs_sam = pytest.mark.skipif(SAM is None, reason="SAM CLI is not installed: make sam")

# One process for all: the start of the SAM CLI takes longer than a template.
VALIDATE = """
import json, sys
from samcli.cli.main import cli
failed = []
for template in json.loads(sys.argv[1]):
    print(template)
    try:
        arguments = ["validate", "--lint", "--region", "eu-west-1", "--template", template]
        cli(arguments, standalone_mode=False)
    except Exception as error:
        print(error)
        failed.append(template)
sys.exit(f"failed: {failed}" if failed else 0)
"""


def assert_valid(templates: Iterable[Path]) -> None:
    """`sam validate --lint` takes every one of the templates."""
    paths = [str(path) for path in templates]
    python = Path(str(SAM)).with_name("python")
    done = subprocess.run(
        [str(python), "-c", VALIDATE, json.dumps(paths)],
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("is a valid SAM Template") == len(paths), done.stdout
