"""The built layer under two judges: our local Lambda, and AWS's Runtime Interface Emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from layer.pythons import Python
from tests.e2e.judges import Judge, LocalJudge, RieJudge, find_rie

FUNCTION = Path(__file__).parent / "function"

StartJudge = Callable[..., AbstractAsyncContextManager[Judge]]
StartLocal = Callable[..., AbstractAsyncContextManager[LocalJudge]]


@pytest.fixture(params=["local", "rie"])
def start(request: pytest.FixtureRequest, opt: Path, python: Python) -> StartJudge:
    """Start the function under each judge, on each Python: `start(ASGI_APP=..., ...)`."""
    kind: Any = LocalJudge
    if request.param == "rie":
        rie = find_rie()
        if rie is None:
            pytest.skip("no aws-lambda-rie: `make sam` installs it")
        kind = RieJudge

    @asynccontextmanager
    async def start(app: str = "bare:app", **environ: str) -> AsyncIterator[Judge]:
        async with kind(opt, python.path, FUNCTION, {"ASGI_APP": app, **environ}) as judge:
            yield judge

    return start


@pytest.fixture
def start_local(opt: Path, python: Python) -> StartLocal:
    """Start the function under the local Lambda only: for what AWS's emulator cannot show."""

    @asynccontextmanager
    async def start(
        app: str = "bare:app", options: dict[str, Any] | None = None, **environ: str
    ) -> AsyncIterator[LocalJudge]:
        variables = {"ASGI_APP": app, **environ}
        async with LocalJudge(opt, python.path, FUNCTION, variables, **options or {}) as judge:
            yield judge

    return start
