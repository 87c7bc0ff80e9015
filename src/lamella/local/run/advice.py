"""What to do about a function that does not start, as far as its error tells."""

from __future__ import annotations

import re
from pathlib import Path

from lamella.local.config import FunctionConfig
from lamella.local.machine.limits import advice_on_writing
from lamella.local.run.env_file import sources

MISSING_PACKAGE = """\
The function runs on {0.python}, and its code is in {0.task_root}.
If the module's package is not installed for that Python: pip install, uv add or poetry add it
If it is installed for another Python, name that one: --python .venv/bin/python
If it is in a folder of `sam build`, name that one: --task-root .aws-sam/build/Function"""

_NOT_THERE = re.compile(r"there is no module '(\w+)")


def advice(message: str, config: FunctionConfig) -> str:
    """Lines for the developer below the error's `message`; "" where it says all there is."""
    if "No module named" in message:
        return MISSING_PACKAGE.format(config)
    wrong = _NOT_THERE.search(message)
    if wrong and (folder := folder_of(wrong[1], config.task_root)):
        here = f"{wrong[1]} is in {folder}: start with --task-root {folder}"
        return f"{here} (a template: CodeUri: {folder})"
    return advice_on_writing(message)


def folder_of(module: str, root: Path) -> Path | None:
    """The folder below `root` that holds the module or package, the nearest where there are
    several, as a path from here if it is below here; None where none holds it."""
    found = set()
    for source in sources(root):
        *packages, file = source.relative_to(root).with_suffix("").parts
        names = [*packages, file]
        if module in names[1:]:
            found.add(root.joinpath(*names[: names.index(module, 1)]))
    nearest = min(found, key=lambda each: (len(each.parts), each), default=None)
    if nearest is None:
        return None
    here = Path.cwd()
    return nearest.relative_to(here) if nearest.is_relative_to(here) else nearest
