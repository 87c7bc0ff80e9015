"""SnapStart: init, the wait in /restore/next, and what follows a restore."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from layer.pythons import Python
from tests.e2e.conftest import FUNCTION
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import installed
from tests.events import url_event

pytestmark = pytest.mark.anyio


class Start(Protocol):
    def __call__(self, **environ: str) -> AbstractAsyncContextManager[LocalJudge]: ...


@pytest.fixture
def start(opt: Path, python: Python, tmp_path: Path) -> Start:
    """Start the function with the module that the managed runtime has: snapshot_restore_py."""
    packages = installed(python, "snapshot", "snapshot-restore-py")
    for entry in [*packages.iterdir(), *FUNCTION.glob("*.py")]:
        (tmp_path / entry.name).symlink_to(entry)

    @asynccontextmanager
    async def start(**environ: str) -> AsyncIterator[LocalJudge]:
        variables = {"ASGI_APP": "snapped:app", **environ}
        async with LocalJudge(opt, python.path, tmp_path, variables, snap_start=True) as judge:
            yield judge

    return start


@pytest.mark.parametrize(
    ("lifespan", "seen"),
    [
        pytest.param("after", ["before", "after", "startup"], id="lifespan-after"),
        pytest.param("before", ["startup", "before", "after"], id="lifespan-before"),
    ],
)
async def test_hooks_and_lifespan_in_their_order(
    start: Start, lifespan: str, seen: list[str]
) -> None:
    async with start(ASGI_SNAPSTART_LIFESPAN=lifespan) as judge:
        contents = [(await judge.invoke(url_event("/"))).content for _ in range(2)]
    assert [content["seen"] for content in contents] == [seen, seen]


@pytest.mark.parametrize(
    ("fail", "error_type", "status", "path", "message"),
    [
        ("before", "BeforeSnapshotError", 64, "/init/error", "ValueError: cannot close the pool"),
        ("after", "AfterRestoreError", 65, "/restore/error", "ValueError: cannot open the pool"),
        ("startup", "AfterRestoreError", 65, "/restore/error", "no database"),
    ],
)
async def test_failures_are_reported_as_the_platform_wants(
    start: Start, fail: str, error_type: str, status: int, path: str, message: str
) -> None:
    async with start(FAIL=fail) as judge:
        failure = judge.environment.init_error
        (post,) = judge.environment.traffic.matching("POST", path)
    assert failure is not None
    assert failure.error_type == f"Runtime.{error_type}"
    assert failure.exit_code == status
    assert message in failure.message
    assert post.header("lambda-runtime-function-error-type") == f"Runtime.{error_type}"
