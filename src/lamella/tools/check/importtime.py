"""The output of `python -X importtime`, summed up by package."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Set
from typing import NamedTuple

from lamella.tools.check.probe import BEGIN, END

STANDARD_LIBRARY = "(standard library)"

_LINE = re.compile(r"import time:\s+(?P<self>\d+) \|\s+\d+ \|\s*(?P<name>[\w.<>-]+)")


class PackageTime(NamedTuple):
    """What a package's own modules took, those that they import not counted in."""

    name: str
    milliseconds: float


def by_package(lines: Iterable[str], library: Set[str]) -> list[PackageTime]:
    """The slowest package first; `library` holds the standard library's names.

    Only what lies between the probe's two marks counts: the application's import.
    """
    sums: defaultdict[str, int] = defaultdict(int)
    counting = False
    for line in lines:
        counting = (counting or line == BEGIN) and line != END
        if counting and (match := _LINE.match(line)):
            package = match["name"].partition(".")[0]
            sums[STANDARD_LIBRARY if package in library else package] += int(match["self"])
    slowest = sorted(sums.items(), key=lambda item: -item[1])
    return [PackageTime(name, microseconds / 1000) for name, microseconds in slowest]
