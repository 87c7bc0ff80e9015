"""MCP of 2026-07-28 with the mcp package's own server and client, through each front door."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lamella.local.run.command import NAMES
from tests.e2e.packages import USUAL, installed
from tests.local.command import Cli
from tests.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "mcp"
FUNCTION = Path(__file__).parent / "function"
DOORS = [name for name in NAMES if name != "websocket"]
KEY = "MCP_STATE_KEY=a key that every environment has, made at random"


@pytest.fixture(scope="session")
def packages() -> Path:
    """The mcp package of the revision of 2026-07-28."""
    return installed(USUAL, "mcp", "mcp==2.3.0")


@contextmanager
def running(opt: Path, packages: Path, folder: Path, *arguments: str) -> Iterator[Cli]:
    """`lamella run` on a function in `folder`."""
    options = ("--layer", str(opt), "--python", USUAL.path, "--env", f"PYTHONPATH={packages}")
    patience = ("--timeout", "120")  # where the import takes longer than the init phase
    cli = Cli("run", *arguments, *options, *patience, cwd=folder)
    try:
        yield cli
    finally:
        cli.close()


def client(packages: Path, way: str, url: str) -> Any:
    """What the client gets, which is a program of its own."""
    script = FUNCTION / "mcp_client.py"
    environ = {**os.environ, "PYTHONPATH": str(packages)}
    command = [USUAL.path, str(script), way, f"{url}/mcp"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("door", DOORS)
def test_a_question_is_answered_in_another_environment(
    opt: Path, packages: Path, door: str
) -> None:
    """With --spread 2 the answer never meets the environment that asked."""
    options = ("main:app", "--port", "0", "--front-door", door, "--spread", "2", "--env", KEY)
    with running(opt, packages, EXAMPLE, *options) as function:
        got = client(packages, "open", function.url())
    assert got == {
        "version": "2026-07-28",
        "progress": [0, 1, 2],
        "asked": ["Delete x?"],
        "deleted": {"name": "x", "deleted": True},
    }


def test_without_a_shared_key_the_other_environment_refuses(opt: Path, packages: Path) -> None:
    with running(opt, packages, EXAMPLE, "main:app", "--port", "0", "--spread", "2") as function:
        got = client(packages, "open", function.url())
    assert got["deleted"] == "Invalid or expired requestState"


@pytest.mark.parametrize("door", ["url", "http", "alb", "lattice"])
def test_a_client_logs_in(opt: Path, packages: Path, door: str) -> None:
    """A Function URL renames WWW-Authenticate, so the client asks for the well-known page.

    Behind a REST API's stage that page is out of reach, as docs/frameworks/mcp.md says.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ("--port", str(port), "--front-door", door, "--env", f"PUBLIC_URL={url}")
    with running(opt, packages, FUNCTION, "mcp_protected:app", *options) as function:
        function.url()
        got = client(packages, "protected", url)
    assert got == {"page": f"{url}/authorization", "secret": {"secret": 42}}
