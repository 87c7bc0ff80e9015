"""The contract on each judge of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import pytest

from lamella.local.run.command import NAMES
from tests.contract.checks import Target, contract_of
from tests.contract.judges import LOCAL

ASKED = [(judge, check) for judge, row in LOCAL.items() for check in row.asked]


@pytest.fixture(scope="module")
def stand(opt: Path) -> Iterator[Callable[[str], Target]]:
    """A judge by its name, which stands until another one is asked for: few run at a time."""
    with ExitStack() as standing:

        @lru_cache(maxsize=1)
        def stand(judge: str) -> Target:
            standing.close()
            return standing.enter_context(LOCAL[judge].serve(opt))

        yield stand


@pytest.mark.parametrize(("judge", "check"), ASKED)
def test_contract(stand: Callable[[str], Target], judge: str, check: str) -> None:
    target = stand(judge)
    contract_of(target)[check](target)


def test_every_front_door_of_lamella_run_has_a_judge() -> None:
    assert {row.door for row in LOCAL.values()} - {""} == set(NAMES)
