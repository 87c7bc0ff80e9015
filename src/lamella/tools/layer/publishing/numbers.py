"""Which version number a release gets, the same in every region where that can be.

Lambda counts each region's versions by itself. A region that is behind (it was added later, or
was down) is brought up with placeholders. A region cannot be set back, so one that already has
the content keeps its number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MOST_PLACEHOLDERS = 200
"""How many a region gets at most: more than that is a mistake in the layer's name, not a gap."""


class Latest(NamedTuple):
    """A region's newest layer version; without any, `number` is 0 and the rest is empty."""

    number: int
    arn: str
    code_sha256: str


def target(latest: Iterable[Latest], code_sha256: str) -> int:
    """Return the number for the content with `code_sha256`, given what the regions have.

    The highest of: the number of a region that has the content, the next number of any other.
    """
    return max(
        (each.number if each.code_sha256 == code_sha256 else each.number + 1 for each in latest),
        default=1,
    )


def placeholders(latest: Latest, wanted: int) -> int:
    """Return how many placeholders bring a region to the number before `wanted`.

    None at all for a region that is too far behind: it gets its own next number.
    """
    gap = wanted - latest.number - 1
    return gap if 0 < gap <= MOST_PLACEHOLDERS else 0
