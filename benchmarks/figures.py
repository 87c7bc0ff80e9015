"""From figures to verdicts: medians, ratios within a round, targets."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

from benchmarks.ways import ADAPTERS, BOOTSTRAP, FLOOR, MANGUM, WEB_ADAPTER


class Target(NamedTuple):
    """At most `limit`: of another way's figure (`beside`), or else in the row's own unit."""

    limit: float
    beside: str | None = None


class Row(NamedTuple):
    """One thing measured: a way's figures have one value for each round, in order."""

    what: str
    unit: str
    figures: dict[str, list[float]]
    target: Target | None = None

    def ratio(self, way: str, beside: str) -> float | None:
        """The median of the ratios of each round, whose two figures lie close in time."""
        pairs = zip(self.figures.get(way, ()), self.figures.get(beside, ()), strict=True)
        ratios = [figure / other for figure, other in pairs]
        return median(ratios) if ratios else None

    def met(self) -> bool | None:
        """Whether the bootstrap meets the target; None where there is none."""
        if self.target is None:
            return None
        reached = self._reached(self.target)
        return None if reached is None else reached <= self.target.limit

    def _reached(self, target: Target) -> float | None:
        if target.beside is not None:
            return self.ratio(BOOTSTRAP, target.beside)
        return median(self.figures[BOOTSTRAP])

    def as_json(self) -> dict[str, Any]:
        """Everything, raw figures included."""
        return {
            "what": self.what,
            "unit": self.unit,
            "figures": self.figures,
            "medians": {way: median(values) for way, values in self.figures.items()},
            "target": self.target._asdict() if self.target else None,
            "reached": self._reached(self.target) if self.target else None,
            "met": self.met(),
        }


BESIDE = (MANGUM, WEB_ADAPTER)
"""The peers that the bootstrap's figures are divided by."""


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table: median (lowest to highest); ways without a figure are left out.

    The columns "of ...'s" are the bootstrap's ratio to a peer.
    """
    ways = [way for way in (FLOOR, *ADAPTERS) if any(way in row.figures for row in rows)]
    peers = [way for way in BESIDE if way in ways]
    head = ["what", *ways, *(f"of {way}'s" for way in peers), "target", "met"]
    cells = [head, ["---"] * len(head), *(_cells(row, ways, peers) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (" | ".join(map(str.ljust, line, widths)) for line in cells)
    return "\n".join(f"| {line} |" for line in lines)


def _cells(row: Row, ways: list[str], peers: list[str]) -> list[str]:
    ratios = [row.ratio(BOOTSTRAP, way) if row.figures.get(way) else None for way in peers]
    shown = ["-" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
    target = "-"
    if row.target is not None:
        limit = f"{row.target.limit:.2f}" if row.target.beside else f"{row.target.limit:g}"
        unit = f" of {row.target.beside}'s" if row.target.beside else f" {row.unit}"
        target = f"at most {limit}{unit}"
    met = {True: "yes", False: "no", None: "-"}[row.met()]
    figures = [_cell(row.figures.get(way, [])) for way in ways]
    return [f"{row.what}, {row.unit}", *figures, *shown, target, met]


def _cell(values: list[float]) -> str:
    if len(values) < 2:
        return _short(values[0]) if values else "-"
    return f"{_short(median(values))} ({_short(min(values))} to {_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
