"""The contract on each judge of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.checks import CONTRACT, Target, contract_of
from tests.contract.judges import LOCAL


@pytest.fixture(scope="module", params=LOCAL)
def target(request: pytest.FixtureRequest, opt: Path) -> Iterator[Target]:
    with LOCAL[request.param](opt) as target:
        yield target


@pytest.mark.parametrize("check", CONTRACT)
def test_contract(target: Target, check: str) -> None:
    if run := contract_of(target).get(check):
        run(target)
