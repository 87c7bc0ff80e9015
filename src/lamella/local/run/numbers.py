"""What Lambda takes as a number, and the numbers of the command line.

One that cannot be is a usage error that says what to give.
"""

from __future__ import annotations

from math import isnan
from typing import Any

import click

TIMEOUT_S, MEMORY_MB, STORAGE_MB = range(1, 901), range(128, 32_769), range(512, 10_241)
"""https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""


class Number(click.FloatRange):
    """A number within limits, a whole one unless `fractions`; `advice` ends the error's message."""

    def __init__(
        self, low: float, high: float | None, advice: str, *, fractions: bool = False
    ) -> None:
        super().__init__(low, high, min_open=fractions)
        self.name = "float range" if fractions else "integer range"
        self._advice = advice
        self._whole = None if fractions else click.INT

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = value if self._whole is None else self._whole.convert(value, param, ctx)
            in_range = super().convert(number, param, ctx)
            if isnan(in_range):
                raise click.BadParameter(f"{value!r} is no number.")
        except click.BadParameter as error:
            self.fail(f"{error.message} Give {self._advice}.", param, ctx)
        return in_range if self._whole is None else int(in_range)


PORT = Number(0, 65535, "a free port such as 3000, or 0 to have one chosen")
TIMEOUT = Number(
    0,
    TIMEOUT_S[-1],
    f"seconds, such as 30: Lambda allows {TIMEOUT_S[-1]} at most",
    fractions=True,
)
MEMORY = Number(MEMORY_MB[0], MEMORY_MB[-1], "megabytes, such as 512")
AT_A_TIME = Number(1, None, "a whole number from 1 on, such as 10")
SLOTS = Number(1, 1600, "how many events the environment takes at a time, such as 10")
