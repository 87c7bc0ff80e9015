"""What the tables of PostgreSQL and SQLite do by themselves, where a server does it elsewhere."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from lamella.websocket.store import Member
from lamella.websocket.stores import open_store
from lamella.websocket.stores.sql import SqlStore, Statement
from tests.websocket.stores.conftest import Place

pytestmark = pytest.mark.anyio


async def count(store: Any) -> int:
    """The rows of both tables."""
    assert isinstance(store, SqlStore)
    numbers = []
    for table in ("lamella_connections", "lamella_members"):
        rows = await store._database.run([Statement(f"SELECT count(*) FROM {table}", ())])
        numbers.append(rows[0][0])
    return sum(numbers)


@pytest.mark.parametrize("kind", ["sqlite", "asyncpg", "psycopg"])
async def test_expired_rows_are_removed_with_new_connections(place: Place) -> None:
    store = open_store(place.url())
    past, later = int(time.time()) - 1, int(time.time()) + 3600
    for name in "abc":
        await store.put(name, {}, later)
    for name in "abc":
        await store.group_add("g", Member(name, "https://e"), past)
    assert await count(store) == 6
    await store.put("a", {}, past)
    assert await count(store) == 3
    await store.put("d", {}, later)
    assert await count(store) == 3
    await store.close()


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
async def test_many_events_at_once_need_few_connections(place: Place) -> None:
    stores = [open_store(place.url()) for _ in range(4)]
    later = int(time.time()) + 3600
    past = int(time.time()) - 1
    for number in range(50):
        await stores[0].group_add("g", Member(str(number), "https://e"), past)
    writes = [store.put(f"{n}", {"n": n}, later) for n in range(20) for store in stores]
    await asyncio.gather(*writes)
    assert await count(stores[0]) == 20
    for store in stores:
        await store.close()


def write_in_a_process(url: str, name: str) -> None:
    """What one environment does."""

    async def write() -> None:
        store = open_store(url)
        later = int(time.time()) + 3600
        for number in range(20):
            await store.put(f"{name}{number}", {}, later)
            await store.group_add("g", Member(f"{name}{number}", "https://e"), later)

    asyncio.run(write())


async def test_processes_share_a_sqlite_file_from_the_first_use_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_in_a_process, args=(url, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    found = [member async for page in open_store(url).members("g") for member in page]
    assert len(found) == 60


async def test_the_first_uses_of_a_sqlite_file_may_come_all_at_once(tmp_path: Path) -> None:
    """SQLite itself does not wait for the change to a write-ahead log: it says "locked" at once."""
    later = int(time.time()) + 3600
    for number in range(50):
        url = f"sqlite:///{tmp_path}/{number}.db"
        await asyncio.gather(*(open_store(url).put(name, {}, later) for name in "abcdef"))
        assert await open_store(url).get("f") is not None


async def test_a_sqlite_path_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await open_store("sqlite:///relative.db").put("a", {}, int(time.time()) + 60)
    with sqlite3.connect(tmp_path / "relative.db") as connection:
        rows = connection.execute("SELECT connection_id FROM lamella_connections").fetchall()
    connection.close()
    assert rows == [("a",)]
