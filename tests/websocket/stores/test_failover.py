"""Servers that change their part, or forget a connection, while the environment lives on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
import redis as redis_py

from lamella.errors import StoreError
from lamella.websocket.store import Member, Store
from lamella.websocket.stores import open_store
from lamella.websocket.stores.sql import SqlStore, Statement
from tests.websocket.stores.conftest import Place
from tests.websocket.stores.servers import PASSWORD, Proxy, Server, redis_server

pytestmark = pytest.mark.anyio

on_redis = pytest.mark.parametrize("kind", ["redis", "valkey"])
on_postgresql = pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
on_both = pytest.mark.parametrize("kind", ["redis", "valkey", "asyncpg", "psycopg"])


def later() -> int:
    return int(time.time()) + 3600


@pytest.fixture
async def store(place: Place, proxy: Proxy) -> AsyncIterator[Store]:
    """A store behind the proxy, which holds several idle connections."""
    store = open_store(place.url(proxy.port))
    await asyncio.gather(*(store.put(f"{number}", {}, later()) for number in range(12)))
    assert proxy.opened > 1
    yield store
    await store.close()


# A failover


@on_redis
async def test_redis_after_a_failover(store: Store, proxy: Proxy, redis: Server) -> None:
    """The name leads to another server, and the one of the open connections is its replica."""
    with redis_server() as other, redis_py.Redis(port=redis.port, password=PASSWORD) as admin:
        proxy.lead_to(other.port)
        admin.replicaof("127.0.0.1", str(other.port))
        try:
            await store.put("a", {"n": 1}, later())
            await store.group_add("g", Member("a", "https://e"), later())
            row = await store.get("a")
            assert row is not None
            assert await store.replace("a", {"n": 2}, row.version)
            writes = (store.put(f"{number}", {}, later()) for number in range(12))
            await asyncio.gather(*writes)
            await store.group_discard("g", "a")
            await store.delete("a")
            assert await store.get("a") is None
        finally:
            admin.replicaof("NO", "ONE")
        await store.close()


@on_redis
async def test_an_operation_is_repeated_once(store: Store, proxy: Proxy, redis: Server) -> None:
    """Where the new connection leads to a replica, too, the error is told."""
    before = proxy.opened
    with redis_py.Redis(port=redis.port, password=PASSWORD) as admin:
        admin.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(StoreError, match="ReadOnlyError"):
                await store.put("a", {}, later())
        finally:
            admin.replicaof("NO", "ONE")
    assert proxy.opened == before + 1
    await store.put("a", {}, later())


@on_postgresql
async def test_postgresql_after_a_failover(store: Store, proxy: Proxy) -> None:
    """The open sessions' server takes no writes any more; that of a new one does."""
    assert isinstance(store, SqlStore)
    read_only = Statement("SET default_transaction_read_only = on", ())
    wait = Statement("SELECT pg_sleep(0.2)", ())  # so that each of the four has its own session
    await asyncio.gather(*(store._database.run([read_only, wait]) for _ in range(4)))
    before = proxy.opened
    await store.put("a", {"n": 1}, later())
    assert proxy.opened == before + 1
    row = await store.get("a")
    assert row is not None
    assert await store.replace("a", {"n": 2}, row.version)
    await asyncio.gather(*(store.put(f"{number}", {}, later()) for number in range(12)))


@on_postgresql
async def test_postgresql_that_takes_no_writes(place: Place) -> None:
    store = open_store(place.url(application_name="reader"))
    assert isinstance(store, SqlStore)
    await store.get("a")
    with psycopg.connect(
        host="127.0.0.1", port=place.port, user="lamella", password=PASSWORD, dbname="postgres"
    ) as admin:
        admin.execute("ALTER ROLE lamella SET default_transaction_read_only = on")
        admin.commit()
        try:
            await store._database.close()
            for _ in range(2):
                with pytest.raises(StoreError, match="ReadOnly"):
                    await store.put("a", {}, later())
            assert await store.get("a") is None
        finally:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute("ALTER ROLE lamella RESET default_transaction_read_only")
            admin.commit()
    await store.put("a", {}, later())
    await store.close()


@on_postgresql
async def test_postgresql_that_ended_its_sessions(store: Store, place: Place) -> None:
    """While the environment was frozen, so the driver has not seen it."""
    with psycopg.connect(
        host="127.0.0.1", port=place.port, user="lamella", password=PASSWORD, dbname="postgres"
    ) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    await store.put("a", {"n": 1}, later())
    assert await store.get("a") is not None


# A pause


@on_both
async def test_connections_in_use_are_kept(store: Store, proxy: Proxy) -> None:
    before = proxy.opened
    for _ in range(5):
        await store.get("0")
    assert proxy.opened == before


@on_both
async def test_connections_that_were_idle_for_long_are_not_used(
    store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the wall clock: the monotonic one may stand still while the environment is frozen."""
    before = proxy.opened
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 46)
    proxy.forget()
    rows = await asyncio.gather(*(store.get(f"{number}") for number in range(12)))
    assert all(row is not None for row in rows)
    assert proxy.opened > before
