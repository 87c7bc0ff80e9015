"""The built layer under two judges: our local Lambda, and AWS's Runtime Interface Emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lamella.local.execution.sandbox import ManagedSandbox, Sandbox
from layer.pythons import Python
from tests.e2e.judges import TIMEOUT, Judge, LocalJudge, RieJudge, find_rie, managed_rie_refusal
from tests.e2e.observed import Collector

FUNCTION = Path(__file__).parent / "function"

# Python 3.15 knows patterns here. What Lamella uses of Python is to be there in the next one, too.
STRICT = {
    "PYTHONWARNINGS": ",".join(
        rf"error::{kind}:/lamella(\..*)?/"
        for kind in ("DeprecationWarning", "PendingDeprecationWarning")
    )
}

GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL, where Lambda has half a second: this machine may be busy."""

DEADLINE = {"timeout": 4.0}
MARGIN = {"ASGI_DEADLINE_MARGIN_MS": "2000"}
"""Of a function whose deadline is met: two seconds until Lamella ends a request, and two for the
end, on a machine that may be busy."""

StartJudge = Callable[..., AbstractAsyncContextManager[Judge]]
StartLocal = Callable[..., AbstractAsyncContextManager[LocalJudge]]


def strict(python: Python) -> dict[str, str]:
    """The variables that make an error of what Lamella uses and Python is to lose."""
    return STRICT if python.version >= (3, 15) else {}


@pytest.fixture(autouse=True)
def patient_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment is killed while it still shuts down; tests/local has Lambda's own time."""
    for kind in (Sandbox, ManagedSandbox):
        monkeypatch.setattr(kind, "grace", GRACE)


@pytest.fixture(params=["local", "rie"])
def start(request: pytest.FixtureRequest, opt: Path, python: Python) -> StartJudge:
    """Start the function under each judge, on each Python: `start(ASGI_APP=..., ...)`.

    `concurrency=N` is managed instances with N slots, all open when the judge is there;
    `snap_start=True` SnapStart, of which AWS's emulator plays the failures only; `timeout` is the
    function's, in whole seconds.
    """
    kind: Any = LocalJudge
    if request.param == "rie":
        rie = find_rie()
        if rie is None:
            pytest.skip("no aws-lambda-rie: `make sam` installs it")
        kind = RieJudge

    @asynccontextmanager
    async def start(
        app: str = "bare:app",
        concurrency: int | None = None,
        snap_start: bool = False,
        timeout: float = TIMEOUT,
        **environ: str,
    ) -> AsyncIterator[Judge]:
        if concurrency is not None and kind is RieJudge and (why := managed_rie_refusal()):
            pytest.skip(f"AWS's emulator cannot play managed instances here: {why}")
        variables = {"ASGI_APP": app, **strict(python), **environ}
        modes = {"concurrency": concurrency, "snap_start": snap_start, "timeout": timeout}
        async with kind(opt, python.path, FUNCTION, variables, **modes) as judge:
            yield judge

    return start


@pytest.fixture
def start_local(opt: Path, python: Python) -> StartLocal:
    """Start the function under the local Lambda only: for what AWS's emulator cannot show.

    `options` are LocalJudge's and FunctionConfig's: `{"concurrency": 64}`, `{"snap_start": True}`.
    """

    @asynccontextmanager
    async def start(
        app: str = "bare:app", options: dict[str, Any] | None = None, **environ: str
    ) -> AsyncIterator[LocalJudge]:
        variables = {"ASGI_APP": app, **strict(python), **environ}
        async with LocalJudge(opt, python.path, FUNCTION, variables, **options or {}) as judge:
            yield judge

    return start


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()
