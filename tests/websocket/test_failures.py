"""The store fails, API Gateway fails, or the application ends its environment."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest

import lamella.websocket
from lamella.errors import StoreError
from lamella.types import Receive, Scope, Send
from lamella.websocket.store import Document, Row
from tests.websocket.driver import (
    connect_event,
    driving,
    write_session,
)

pytestmark = pytest.mark.anyio


async def test_a_store_that_fails_once_costs_the_event_only(
    at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driving(write_session, at_once) as drive:
        await drive.connect()

        async def fail(*_: Any) -> bool:
            raise StoreError("the store is down")

        with monkeypatch.context() as patch:
            patch.setattr(drive.hub.store, "replace", fail)
            assert (await drive.message("1")).status == 500
        assert not drive.closed()
        assert (await drive.message("2")).status == 200
    assert drive.sent() == ["ok"]


async def test_a_store_that_fails_at_the_handshake_refuses(
    at_once: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.accept"})
        except StoreError:
            return
        await receive()

    async with driving(app, at_once) as drive:

        async def fail(*_: Any) -> None:
            raise StoreError("the store is down")

        with monkeypatch.context() as patch:
            patch.setattr(drive.hub.store, "put", fail)
            assert (await drive.connect()).status == 500
        assert (await drive.connect("another")).status == 200


async def test_a_refused_recipient_does_not_cost_the_sender_its_connection(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        text = (await receive())["text"]
        await lamella.websocket.send("b", text)

    async with driving(app, at_once) as drive:
        await drive.connect("a")
        drive.gateway.answers = [(500, b"{}")]
        assert (await drive.message("x", "a")).status == 500
        assert not drive.closed("a")


async def test_a_greeting_that_fails_costs_no_message() -> None:
    got = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        while True:
            got.append((await receive())["text"])

    async with driving(app, at_once=False) as drive:
        await drive.connect()
        drive.gateway.answers = [(500, b"{}")]
        assert (await drive.message("1")).status == 200
    assert got == ["1"]


async def test_a_greeting_comes_first_although_another_event_wrote_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "welcome"})
        while True:
            await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with driving(app, at_once=False) as drive:
        await drive.connect()
        store = drive.hub.store
        replace = store.replace

        async def after_another(connection_id: str, document: Document, version: Any) -> bool:
            monkeypatch.setattr(store, "replace", replace)
            row = await store.get(connection_id)
            assert row is not None
            await replace(connection_id, {**row.document, "session": {"k": 1}}, row.version)
            return await replace(connection_id, document, version)

        monkeypatch.setattr(store, "replace", after_another)
        await drive.message("1")
    assert drive.sent() == ["welcome", "1"]


async def test_many_events_at_once_keep_the_session_and_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with driving(write_session) as drive:
        await drive.connect()
        store = drive.hub.store
        get, replace = store.get, store.replace

        async def slow_get(connection_id: str) -> Row | None:
            await asyncio.sleep(0.003)
            return await get(connection_id)

        async def slow_replace(*arguments: Any) -> bool:
            await asyncio.sleep(0.003)
            return await replace(*arguments)

        monkeypatch.setattr(store, "get", slow_get)
        monkeypatch.setattr(store, "replace", slow_replace)
        answers = await asyncio.gather(*(drive.message(str(number)) for number in range(15)))
    assert Counter(answer.status for answer in answers) == {200: 15}
    assert not drive.closed()


# The end of an environment


async def test_an_error_that_ends_the_environment_is_no_answer(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise SystemExit(3)

    async with driving(app, at_once, log_access=True) as drive:
        with caplog.at_level(logging.INFO), pytest.raises(SystemExit):
            await drive.serve(connect_event())
    (access,) = [r.getMessage() for r in caplog.records if r.name == "lamella.access"]
    assert float(access.split()[-2]) >= 0


async def test_an_exit_in_a_task_group_ends_the_environment(at_once: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise BaseExceptionGroup("several", [ValueError(), SystemExit(3)])

    async with driving(app, at_once) as drive:
        with pytest.raises(SystemExit):
            await drive.serve(connect_event())
