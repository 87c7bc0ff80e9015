"""What counts as an edit that the function is to be started anew for."""

from __future__ import annotations

from asyncio import Event
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

EDITED = frozenset(
    {
        *(".py", ".pyi", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".xml", ".txt"),
        *(".md", ".css", ".js", ".mjs", ".svg", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg"),
        *(".env", ".sql", ".graphql", ".po", ".mo"),
    }
)
"""Endings of code, templates, static files and configuration. A function that writes a log or a
database into its own folder must not start itself anew."""


class Edits(DefaultFilter):
    """Changes in `folders` of files with one of these endings, and of all files in `more`."""

    def __init__(self, folders: Iterable[Path], more: Iterable[Path]) -> None:
        super().__init__()
        self._more = [each.resolve() for each in more]
        self.paths = list(dict.fromkeys([*folders, *self._more]))

    def __call__(self, change: Change, path: str) -> bool:
        if not super().__call__(change, path):
            return False
        changed = Path(path)
        return (changed.suffix or changed.name) in EDITED or any(
            changed == each or each in changed.parents for each in self._more
        )

    async def edited(self, stopped: Event) -> AsyncIterator[str]:
        """The paths of each batch of changes, as a developer would write them."""
        async for changes in awatch(
            *self.paths, watch_filter=self, stop_event=stopped, step=20, debounce=400
        ):
            names = sorted({shown(Path(path)) for _, path in changes})
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield ", ".join(names[:3]) + more


def shown(path: Path) -> str:
    """A path as a developer would write it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
