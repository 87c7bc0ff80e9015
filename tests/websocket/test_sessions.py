"""The session, where several tasks of one run send and change it at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from lamella.types import Receive, Scope, Send
from lamella.websocket.stores.memory import MemoryStore
from tests.websocket.driver import driving

pytestmark = pytest.mark.anyio


async def test_sends_at_the_same_time_keep_the_session_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Counter[str]()
    for name in ("get", "replace"):
        monkeypatch.setattr(MemoryStore, name, slowly(name, calls))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["extensions"]["lamella.websocket"]["session"]
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await receive()
            session["count"] = session.get("count", 0) + 1
            await asyncio.gather(
                *(send({"type": "websocket.send", "text": str(n)}) for n in range(50))
            )

    async with driving(app) as drive:
        await drive.connect()
        calls.clear()
        assert (await drive.message("x")).status == 200
        assert calls == {"get": 1, "replace": 1}
        assert len(drive.sent()) == 50


def slowly(name: str, calls: Counter[str]) -> Any:
    """A store's operation over a network, and counted."""
    operation = getattr(MemoryStore, name)

    async def slow(self: MemoryStore, *arguments: Any) -> Any:
        calls[name] += 1
        await asyncio.sleep(0.004)
        result = await operation(self, *arguments)
        await asyncio.sleep(0.004)
        return result

    return slow


async def test_the_last_change_is_kept_whatever_comes_back_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace, calls = MemoryStore.replace, 0

    async def out_of_step(self: MemoryStore, *arguments: Any) -> bool:
        nonlocal calls
        calls += 1
        mine = calls
        await asyncio.sleep(0.02 if mine == 1 else 0)  # the first is slow on its way
        replaced = await replace(self, *arguments)
        await asyncio.sleep(0.08 if mine == 2 else 0)  # the second's answer is slow to come back
        return replaced

    monkeypatch.setattr(MemoryStore, "replace", out_of_step)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = scope["extensions"]["lamella.websocket"]["session"]
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await receive()
            sends = []
            for number in (1, 2):
                session["n"] = number
                sends.append(asyncio.ensure_future(send({"type": "websocket.send", "text": "x"})))
                await asyncio.sleep(0.005)
            await asyncio.gather(*sends)

    async with driving(app) as drive:
        await drive.connect()
        assert (await drive.message("x")).status == 200
        assert (await drive.kept())["session"] == {"n": 2}


async def test_a_handshake_that_is_kept_and_accepted_at_once_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """group_add keeps the handshake before the client is in; it must not be what stays."""
    import lamella.websocket

    put, calls = MemoryStore.put, 0

    async def out_of_step(self: MemoryStore, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            text = dict(arguments[1])
            await asyncio.sleep(0.05)
            arguments = (arguments[0], text, arguments[2])
        await put(self, *arguments)

    monkeypatch.setattr(MemoryStore, "put", out_of_step)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["extensions"]["lamella.websocket"]["connection_id"]
        await receive()
        joining = asyncio.ensure_future(lamella.websocket.group_add("all", name))
        await asyncio.sleep(0.01)
        await send({"type": "websocket.accept"})
        await joining
        await receive()

    async with driving(app) as drive:
        assert (await drive.connect()).status == 200
        assert (await drive.kept())["accepted"] is True
