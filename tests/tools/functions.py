"""Small functions on disk, for `lamella check` and `lamella compile`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from lamella.tools.cli import main

RUNTIME = "python{}.{}".format(*sys.version_info)

APP = """
async def app(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
"""


def write(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Write `files`, text by path, into `folder`, and APP as its main.py unless they say else."""
    for name, text in {"main.py": APP, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


class Done(NamedTuple):
    """A finished command: its exit status, its output, and that as JSON where it is."""

    status: int
    output: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.output)
        return value


def lamella(*arguments: object) -> Done:
    """Run the command in this process."""
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.output)
