"""Record docs/run.svg: the example under `lamella run`, in a pseudo terminal, with requests to it.

    python docs/record.py

Everything in the picture was written by that run. Only the place of the example's copy is written
as a home's folder, since it is a temporary one.
"""

from __future__ import annotations

import io
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "run.svg"
URL = "http://127.0.0.1:3000"
COLUMNS = 96
LIMIT = 30.0

REQUESTS = (
    ("GET", "/items/5?q=hello"),
    ("GET", "/events?count=3"),
    ("POST", "/jobs"),
    ("GET", "/error"),
)


class Recording:
    """A command in a pseudo terminal, and what it wrote there."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._keyboard, screen = pty.openpty()
        variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
        self._process = subprocess.Popen(
            command, cwd=folder, env=variables, stdin=screen, stdout=screen, stderr=screen
        )
        os.close(screen)
        self.text = ""

    def until(self, pattern: str) -> None:
        """Read until a line matches."""
        end = time.monotonic() + LIMIT
        while not re.search(pattern, self.text):
            if time.monotonic() > end:
                raise TimeoutError(f"no {pattern!r} in:\n{self.text}")
            if select.select([self._keyboard], [], [], 0.1)[0]:
                self.text += os.read(self._keyboard, 65_536).decode()

    def stop(self) -> None:
        """Press Ctrl-C, and read the rest."""
        self._process.send_signal(signal.SIGINT)
        while True:
            try:
                self.text += os.read(self._keyboard, 65_536).decode()
            except OSError:  # the other end is closed
                break
        self._process.wait(LIMIT)
        os.close(self._keyboard)


def recorded(folder: Path) -> str:
    """What the terminal shows of a run of the example in `folder`."""
    layer = ROOT / "dist" / "lamella-layer.zip"
    command = [sys.executable, "-m", "lamella.tools", "run", "main:app", "--layer", str(layer)]
    recording = Recording(command, folder)
    try:
        recording.until(r"curl -i -H .*\n")
        for method, target in REQUESTS:
            httpx.request(method, URL + target, timeout=LIMIT)
            recording.until(rf"{method}\S* {re.escape(target)} .*\n")
    finally:
        recording.stop()
    return recording.text.replace(str(folder), "/home/me/shop").replace("\r\n", "\n")


def drawn(text: str) -> str:
    """The text of a terminal as SVG, without a font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    console.print(Text("$ lamella run main:app", style="bold"))
    console.print(Text.from_ansi(text), soft_wrap=False)
    svg = console.export_svg(title="lamella run", theme=MONOKAI, unique_id="run")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "shop")
        shutil.copytree(ROOT / "examples" / "fastapi", folder)
        PICTURE.write_text(drawn(recorded(folder)))


if __name__ == "__main__":
    main()
