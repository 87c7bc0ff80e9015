"""What counts as an edit that the function is to be started anew for."""

from __future__ import annotations

import contextlib
import os
from asyncio import Event
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

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


BUILT = frozenset({".aws-sam", "cdk.out", ".serverless"})
"""Folders of deploy tools, with copies of the sources: a build beside the code is no edit of it."""


MOST_FILES = 1000
"""A request is held up for so many looks at a file, each of some microseconds; where there are
more, an edit counts when the system has told of it, some milliseconds later."""


class Edits(DefaultFilter):
    """Changes in `folders` of files with one of these endings, and of all files in `more`.

    What was edited since the last time is asked for with `taken`, when the system tells of a change
    (`told`), and before each request: a script that writes a file and asks at once is quicker than
    the system.
    """

    def __init__(self, folders: Iterable[Path], more: Iterable[Path]) -> None:
        super().__init__()
        self._more = [each.resolve() for each in more]
        self.paths = list(dict.fromkeys([*folders, *self._more]))
        self._known = self._seen()

    def __call__(self, change: Change, path: str) -> bool:
        if not super().__call__(change, path):
            return False
        changed = Path(path)
        return (changed.suffix or changed.name) in EDITED or any(
            changed == each or each in changed.parents for each in self._more
        )

    @property
    def quick(self) -> bool:
        """Whether `taken` takes no time that a request would notice."""
        return self._looked <= MOST_FILES

    def taken(self) -> str:
        """The paths that changed since the last call, as a developer would write them, or ""."""
        before, self._known = self._known, self._seen()
        changed = {path for path, _ in before.items() ^ self._known.items()}
        names = sorted(shown(Path(path)) for path in changed)
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    async def told(self, stopped: Event) -> AsyncIterator[None]:
        """Whenever the system tells of changes."""
        options: dict[str, Any] = {"stop_event": stopped, "step": 20, "debounce": 400}
        async for _ in awatch(*self.paths, watch_filter=self, **options):
            yield

    def _seen(self) -> dict[str, tuple[int, int]]:
        """Date and size of each file that counts."""
        seen, self._looked = {}, 0
        skipped = BUILT.union(self.ignore_dirs)
        for root in self.paths:
            single: list[tuple[str, list[str], list[str]]] = [(str(root.parent), [], [root.name])]
            for parent, folders, files in single if root.is_file() else os.walk(root):
                folders[:] = [each for each in folders if each not in skipped]
                self._looked += len(files)
                for path in (os.path.join(parent, each) for each in files):
                    if self(Change.modified, path):
                        with contextlib.suppress(OSError):  # it is gone already
                            about = os.stat(path)
                            seen[path] = about.st_mtime_ns, about.st_size
        return seen


def shown(path: Path) -> str:
    """A path as a developer would write it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
