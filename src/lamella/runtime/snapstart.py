"""SnapStart: the pause between init and the first invocation in which Lambda takes a snapshot.

Every restored environment wakes from the same request, `GET /restore/next`. Source:
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from lamella.errors import InitError, RuntimeApiError, described
from lamella.http1 import USER_AGENT, request_head
from lamella.runtime import ric
from lamella.runtime.client import API
from lamella.runtime.connection import connect


class BeforeSnapshotError(InitError):
    """A before-snapshot hook failed: the version is not published."""

    error_type = "Runtime.BeforeSnapshotError"
    exit_status = 64


class AfterRestoreError(InitError):
    """Something failed after the restore: the invocation that caused it fails."""

    error_type = "Runtime.AfterRestoreError"
    exit_status = 65
    report_path = "restore/error"


def before() -> None:
    """Run the before-snapshot hooks, the last one first. Raises `BeforeSnapshotError`.

    Outside the event loop, as awslambdaric runs them: a hook may call asyncio.run.
    """
    hooks = ric.snapshot_hooks()
    if hooks is not None:
        _guarded(hooks.run_before_snapshot, BeforeSnapshotError, "A before-snapshot hook failed")


async def wait(address: str) -> None:
    """Wait for the restore, of which there may be many. Raises `RuntimeApiError`.

    The connection is closed: restored environments must not share it.
    """
    connection = await connect(address)
    headers = {"Host": address, "User-Agent": USER_AGENT}
    reply = await connection.ask(request_head("GET", f"{API}/restore/next", headers))
    connection.close()
    if reply.status != 200:
        body = reply.body[:300].decode("utf-8", "replace")
        raise RuntimeApiError(f"The Runtime API refused restore/next: {reply.status} {body}")


def after() -> None:
    """Renew what restored environments must not share, and run the after-restore hooks.

    Raises `AfterRestoreError`.
    """
    if "random" in sys.modules:
        # Its state is part of the snapshot; `secrets` and os.urandom ask the kernel.
        sys.modules["random"].seed()
    hooks = ric.snapshot_hooks()
    if hooks is not None:
        _guarded(hooks.run_after_restore, AfterRestoreError, "An after-restore hook failed")


def _guarded(run: Callable[[], None], kind: type[InitError], what: str) -> None:
    try:
        run()
    except BaseException as error:  # a hook that exits ends the environment, too
        raise kind(f"{what}: {described(error)}") from error
