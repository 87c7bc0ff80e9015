"""From figures to verdicts: medians, ratios within a round, targets."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

from benchmarks.ways import ADAPTERS, BOOTSTRAP, FLOOR


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


COLUMNS = ("what", FLOOR, *ADAPTERS, "ratio", "target", "met")


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table: median (lowest to highest)."""
    cells = [[*COLUMNS], ["---"] * len(COLUMNS), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (" | ".join(map(str.ljust, line, widths)) for line in cells)
    return "\n".join(f"| {line} |" for line in lines)


def _cells(row: Row) -> list[str]:
    figures = [_cell(row.figures.get(way, [])) for way in (FLOOR, *ADAPTERS)]
    return [f"{row.what}, {row.unit}", *figures, *_verdict(row)]


def _cell(values: list[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return _short(values[0])
    return f"{_short(median(values))} ({_short(min(values))} to {_short(max(values))})"


def _verdict(row: Row) -> list[str]:
    beside = row.target.beside if row.target and row.target.beside else ADAPTERS[0]
    ratio = row.ratio(BOOTSTRAP, beside) if row.figures.get(beside) else None
    shown = "-" if ratio is None else f"{ratio:.2f}"
    if row.target is None:
        return [shown, "-", "-"]
    unit = f" of {row.target.beside}'s" if row.target.beside else f" {row.unit}"
    limit = f"{row.target.limit:.2f}" if row.target.beside else f"{row.target.limit:g}"
    met = {True: "yes", False: "no", None: "-"}[row.met()]
    return [shown, f"at most {limit}{unit}", met]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
