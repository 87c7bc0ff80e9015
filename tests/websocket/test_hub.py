"""Several applications, several event loops, many events: what a process shares and lets go."""

from __future__ import annotations

import asyncio
import gc

import pytest

import lamella.websocket
from lamella.errors import WebSocketError
from lamella.service import Service
from lamella.settings import from_arguments
from lamella.websocket import current, hub
from lamella.websocket.application import run_for_channel
from tests.websocket.driver import (
    ID,
    accepting,
    driving,
    write_session,
)

pytestmark = pytest.mark.anyio


async def test_another_adapter_does_not_change_this_ones_settings(at_once: bool) -> None:
    async with driving(accepting(), at_once) as drive:
        Service(accepting(), from_arguments({}))
        assert (await drive.connect()).status == 200
        assert (await drive.message("x")).status == 200


def test_loops_that_are_closed_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamella.served._served", None)
    monkeypatch.setenv("ASGI_WEBSOCKET_STORE", "memory:")

    async def send() -> bool:
        return await lamella.websocket.send("nobody", "x")

    for _ in range(5):
        assert not asyncio.run(send())
        assert not hub._hubs


async def test_events_leave_nothing_behind() -> None:
    async with driving(write_session) as drive:

        async def serve(events: int) -> int:
            for _ in range(events):
                await drive.connect()
                await drive.message("x")
                await drive.disconnect()
                drive.gateway.requests.clear()
                drive.gateway.messages.clear()
            gc.collect()
            return len(gc.get_objects())

        await serve(50)
        before = await serve(50)
        assert await serve(200) - before < 200


async def test_a_script_has_no_consumers_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with driving(accepting()):
        monkeypatch.setattr("lamella.served._served", None)
        monkeypatch.setenv("ASGI_WEBSOCKET_STORE", "memory:")
        with pytest.raises(WebSocketError, match="where Lamella serves no application"):
            await run_for_channel(current.here(), ID, {"type": "x"})
