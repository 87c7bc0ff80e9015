"""A sandbox that begins with a restore instead of an init: a clone of a snapshot."""

from __future__ import annotations

from lamella.local.config import FunctionConfig
from lamella.local.process import LineCallback, RuntimeProcess
from lamella.local.sandbox import Failure, Sandbox
from lamella.local.snapshot import Snapshot
from lamella.local.traffic import Traffic


class RestoredSandbox(Sandbox):
    """As Sandbox; `init` takes from the restore to the first /next."""

    def __init__(
        self, config: FunctionConfig, traffic: Traffic, on_line: LineCallback, snapshot: Snapshot
    ) -> None:
        super().__init__(config, traffic, on_line)
        self._snapshot = snapshot

    async def stop(self) -> None:
        await super().stop()
        self._snapshot.forget(self.pid)

    async def _launch(self) -> RuntimeProcess:
        self._api, process = await self._snapshot.restore(self._traffic, self._on_line)
        return process

    def _init_timeout(self, limit: float) -> Failure:
        message = f"Restore and after-restore hooks took longer than {limit:.2f} seconds"
        error = {"errorType": "SnapStartTimeoutException", "errorMessage": message}
        return Failure(error, "timeout")
