"""The output of `python -X importtime`, by package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from lamella.tools.check.probe import BEGIN, END

_LINE = re.compile(r"import time:\s+(?P<self>\d+) \|\s+\d+ \| (?P<indent> *)(?P<name>[\w.<>-]+)")


@dataclass
class Package:
    """A package, below the one that imported it first.

    `own` is what its modules took, and what modules of the standard library took for them.
    """

    name: str
    own: float = 0.0  # milliseconds, as `total`
    children: list[Package] = field(default_factory=list)

    @property
    def total(self) -> float:
        """What its import took, with all that it imports."""
        return self.own + sum(child.total for child in self.children)

    def walk(self) -> Iterator[Package]:
        """This package and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


class _Module(NamedTuple):
    depth: int
    package: str
    milliseconds: float
    imported: list[_Module]


def tree(lines: Iterable[str], library: Set[str]) -> Package:
    """The packages that the application's import brought, each once; the root has no name.

    `library` holds the standard library's names. Only what lies between the probe's two marks
    counts. A module's line comes after the lines of what it imports, which are indented deeper.
    """
    waiting: list[_Module] = []  # the modules whose importer has no line yet
    counting = False
    for line in lines:
        counting = (counting or line == BEGIN) and line != END
        if counting and (match := _LINE.match(line)):
            depth, package = len(match["indent"]), match["name"].partition(".")[0]
            imported: list[_Module] = []
            while waiting and waiting[-1].depth > depth:
                imported.insert(0, waiting.pop())
            waiting.append(_Module(depth, package, int(match["self"]) / 1000, imported))
    root = Package("")
    known = {"": root}

    def place(module: _Module, importer: Package) -> None:
        package = importer
        if module.package not in library:
            if module.package not in known:
                known[module.package] = Package(module.package)
                importer.children.append(known[module.package])
            package = known[module.package]
        package.own += module.milliseconds
        for each in module.imported:
            place(each, package)

    for each in waiting:
        place(each, root)
    return root


def slowest(root: Package, count: int = 10) -> list[Package]:
    """The packages whose own modules took longest, the slowest first."""
    named = [each for each in root.walk() if each.name]
    return sorted(named, key=lambda each: -each.own)[:count]
