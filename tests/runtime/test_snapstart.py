"""After a restore: what environments of one snapshot must not share."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from lamella.runtime import snapstart


@pytest.fixture(autouse=True)
def _state() -> Iterator[None]:
    before = random.getstate()
    yield
    random.setstate(before)


def test_restored_environments_draw_different_random_numbers() -> None:
    snapshot = random.getstate()
    drawn = []
    for _ in range(2):
        random.setstate(snapshot)  # what each restored process wakes up with
        snapstart.after()
        drawn.append(random.random())
    assert drawn[0] != drawn[1]
