"""From figures to verdicts: medians, ratios within a round, targets."""

from __future__ import annotations

from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.ways import ADAPTERS, BOOTSTRAP, FLOOR, MANGUM, UVLOOP


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

    def ratios(self, way: str, beside: str) -> list[float]:
        """The ratio of each round, whose two figures lie close in time."""
        pairs = zip(self.figures.get(way, ()), self.figures.get(beside, ()), strict=True)
        return [figure / other for figure, other in pairs]

    def ratio(self, way: str, beside: str) -> float:
        """The median of the ratios. Raises `ValueError` where there are none."""
        return median(self.ratios(way, beside))

    @property
    def base(self) -> str:
        """The way whose figures are 1: Mangum, or the first one where Mangum cannot do it."""
        return MANGUM if MANGUM in self.figures else next(iter(self.figures))

    def met(self) -> bool | None:
        """Whether the bootstrap meets the target; None where there is none."""
        if self.target is None:
            return None
        return self._reached(self.target) <= self.target.limit

    def _reached(self, target: Target) -> float:
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


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table of ratios, with the quartiles of the rounds.

    In each row one way is 1. A target in the row's own unit is told with the figure in that unit.
    """
    found = dict.fromkeys(way for row in rows for way in row.figures)
    order = [way for way in (FLOOR, *ADAPTERS, UVLOOP) if way in found]
    ways = order + [way for way in found if way not in order]
    head = ["what", *ways, "target", "met"]
    cells = [head, ["---"] * len(head), *(_cells(row, ways) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (" | ".join(map(str.ljust, line, widths)) for line in cells)
    return "\n".join(f"| {line} |" for line in lines)


def _cells(row: Row, ways: list[str]) -> list[str]:
    target = "-"
    if row.target is not None and row.target.beside:
        target = f"at most {row.target.limit:.2f} of {row.target.beside}'s"
    elif row.target is not None:
        reached = median(row.figures[BOOTSTRAP])
        target = f"{_short(reached)} of at most {_short(row.target.limit)} {row.unit}"
    met = {True: "yes", False: "no", None: "-"}[row.met()]
    return [row.what, *(spread(row, way) for way in ways), target, met]


def spread(row: Row, way: str) -> str:
    """A way's ratio to the row's base: the median of the rounds, and their quartiles.

    The figures in "times" are ratios already.
    """
    if way not in row.figures:
        return "-"
    if way == row.base and row.unit != "times":
        return "1"
    ratios = row.figures[way] if row.unit == "times" else row.ratios(way, row.base)
    if len(ratios) < 2:
        return _short(ratios[0])
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return f"{_short(middle)} ({_short(low)} to {_short(high)})"


def _short(value: float) -> str:
    value = round(value, 2) + 0.0  # which makes 0 of -0
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
