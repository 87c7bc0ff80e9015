"""What `lamella run` prints when the function is ready: where it is, and lines to try."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from lamella.front_doors import FrontDoor
from lamella.local.websockets.api import WebSocketApi


def welcome(
    app: str,
    door: FrontDoor | WebSocketApi,
    origin: str,
    watched: Path | None,
    paths: tuple[str, ...],
) -> Iterator[str]:
    """The lines, in rich's markup: the commands for a shell try each of `paths` once, and vary
    the first of them."""
    article = "an" if door.label.startswith("A") else "a"
    mode = "streamed" if door.streaming else "buffered"
    yield f"\n[bold]{escape(app)}[/] behind {article} {door.label}, {mode}"
    yield f"[bold green]{escape(door.base_url(origin))}[/]   (Ctrl-C stops)\n"
    if watched is not None:
        yield f"watching {escape(str(watched))} for changes of code\n"
    asked = [path.lstrip("/") for path in paths or ("/",)]
    root = door.base_url(origin)
    if isinstance(door, WebSocketApi):
        url = root if door.path_header is None else f"{root}/{asked[0]}"
        yield escape(f"  python -m websockets {shlex.quote(url)}")
        root = origin
    targets = [shlex.quote(f"{root}/{path}") for path in asked]
    json = "-H 'content-type: application/json' -d '{\"hello\": \"world\"}'"
    lines = [f"curl -iN {target}" for target in targets]
    lines += [f"curl -I {targets[0]}", f"curl -i {json} {targets[0]}"]
    for line in lines[: max(3, len(targets))]:
        yield escape(f"  {line}")
    yield ""
