"""What one attack is given, what it counts, and how it says that a promise was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

import hypothesis

T = TypeVar("T")


class Broken(AssertionError):
    """A promise that was not kept, with the input that shows it."""


@dataclass
class Attack:
    """One run of one attack: the same `seed` and `scale` give the same inputs.

    `opt` holds the unpacked layer, as /opt does on Lambda, and `python` is the interpreter that
    runs it. `scale` multiplies every count.
    """

    opt: Path
    python: str
    seed: int
    scale: float
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def times(self, number: int) -> int:
        """So many at this scale, and one at least."""
        return max(round(number * self.scale), 1)

    def sample(self, population: Sequence[T], number: int) -> list[T]:
        """So many of them at this scale, chosen by the seed; all of them where that is enough."""
        return self.random.sample(population, min(self.times(number), len(population)))

    def examples(self, number: int) -> hypothesis.settings:
        """Hypothesis's settings for so many inputs at this scale, with no memory of other runs."""
        return hypothesis.settings(
            max_examples=self.times(number),
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )

    @contextmanager
    def promise(self, what: str) -> Iterator[None]:
        """Keep a `Broken` for the end, with the input `what`, and go on with the next one."""
        try:
            yield
        except Broken as error:
            notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
            self.broken.append(f"{what}: {error}{notes}")
