"""All regions at the same time, each with its line of a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lamella.tools.layer.publishing import PublishError, trouble
from lamella.tools.layer.publishing.region import Region, Tell

T = TypeVar("T")

MOST_AT_ONCE = 16
"""How many regions are worked on at the same time: more would only wait for the uplink."""


class Failed(str):
    """Why a region failed, for the person who publishes."""


def each(
    regions: Sequence[Region],
    work: Callable[[Region, Tell], T],
    steps: Callable[[Region], int],
    console: Console,
) -> dict[str, T | Failed]:
    """Return what `work` made of each region, by name, in the order of `regions`.

    What goes wrong in one region is its own result and stops no other. `steps` says how often
    `work` is expected to tell what it does.
    """
    columns = [TextColumn("{task.fields[region]}"), BarColumn(), TextColumn("{task.description}")]
    with (
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        ThreadPoolExecutor(MOST_AT_ONCE) as pool,
    ):
        lines = {
            region.name: progress.add_task("waiting", total=steps(region) + 1, region=region.name)
            for region in regions
        }

        def attempt(region: Region) -> T | Failed:
            line, begun = lines[region.name], 0

            def tell(words: str, part: float = 0.0, /) -> None:
                nonlocal begun
                begun += not part
                progress.update(line, description=words, completed=begun - 1 + part)

            try:
                result = work(region, tell)
            except (*trouble.AWS_ERRORS, PublishError, OSError) as error:
                progress.update(line, description="[red]failed")
                return Failed(trouble.explain(error))
            progress.update(line, description="done", completed=steps(region) + 1)
            return result

        return dict(zip(lines, pool.map(attempt, regions), strict=True))
