"""What `lamella run` prints when the function is ready: where it is, and lines to try."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from rich.markup import escape

from lamella.local.endpoints.websockets.api import Door, WebSocketApi
from lamella.local.run.routes import Route


def welcome(app: str, door: Door, origin: str) -> Iterator[str]:
    """Where the function is, in rich's markup."""
    article = "an" if door.label.startswith("A") else "a"
    mode = "streamed" if door.streaming else "buffered"
    yield f"\n[bold]{escape(app)}[/] behind {article} {door.label}, {mode}"
    yield f"[bold green]{escape(door.base_url(origin))}[/]   (Ctrl-C stops)"


def to_try(
    door: Door, origin: str, paths: tuple[str, ...], routes: Iterable[Route]
) -> Iterator[str]:
    """Commands for a shell: one for each of `paths`, else for some of the `routes`, else for /."""
    root = door.base_url(origin)
    if isinstance(door, WebSocketApi):
        path = "" if door.path_header is None else f"/{(paths or ('',))[0].lstrip('/')}"
        yield f"  python -m websockets {shlex.quote(root + path)}"
        root = origin
    known = {method: [r.path for r in routes if r.method == method] for method in ("GET", "POST")}
    for path in paths or known["GET"][:2] or ([] if known["POST"] else ["/"]):
        yield f"  curl -iN {shlex.quote(root.rstrip('/') + '/' + path.lstrip('/'))}"
    for path in [] if paths else known["POST"][:1]:
        json = "-H 'content-type: application/json' -d '{}'"
        yield f"  curl -i {json} {shlex.quote(root.rstrip('/') + path)}"
