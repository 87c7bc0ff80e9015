"""What is kept of a connection, and a store's password, stay out of messages and tracebacks."""

from __future__ import annotations

import time
import traceback
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
import redis as redis_py

from lamella.errors import StoreError
from lamella.websocket.stores import open_store
from lamella.websocket.stores.address import parse
from lamella.websocket.stores.sql import SqlStore, Statement
from tests.front_of_moto import Answer, Call
from tests.websocket.stores.conftest import Place
from tests.websocket.stores.front import Front
from tests.websocket.stores.servers import PASSWORD, Server

pytestmark = pytest.mark.anyio

SECRET = "c00kie-of-the-client"
DOCUMENT = {
    "query": f"token={SECRET}",
    "headers": [["cookie", f"session={SECRET}"], ["authorization", f"Bearer {SECRET}"]],
    "session": {},
}

on_redis = pytest.mark.parametrize("kind", ["redis", "valkey"])


def later() -> int:
    return int(time.time()) + 3600


async def failure(work: Coroutine[Any, Any, Any]) -> str:
    """The message of the `StoreError` that the work ends in; a log of it has no secret."""
    with pytest.raises(StoreError) as caught:
        await work
    logged = "".join(traceback.format_exception(caught.value))
    assert SECRET not in logged
    assert PASSWORD not in logged
    return str(caught.value)


@pytest.fixture
def admin(redis: Server) -> Iterator[Any]:
    """Redis's administrator, who puts everything right again."""
    with redis_py.Redis(port=redis.port, password=PASSWORD) as client:
        yield client
        client.config_set("maxmemory", "0")
        client.replicaof("NO", "ONE")
        client.acl_deluser("weak")


@on_redis
async def test_a_redis_without_memory(place: Place, admin: Any) -> None:
    store = open_store(place.url())
    await store.put("a", {"session": {}}, later())
    row = await store.get("a")
    assert row is not None
    admin.config_set("maxmemory", "1")
    for work in (store.put("a", DOCUMENT, later()), store.replace("a", DOCUMENT, row.version)):
        assert "OutOfMemoryError: command not allowed when used memory" in await failure(work)
    await store.close()


@on_redis
async def test_a_redis_that_is_a_replica(place: Place, admin: Any) -> None:
    store = open_store(place.url())
    admin.replicaof("127.0.0.1", "1")
    message = await failure(store.put("a", DOCUMENT, later()))
    assert "ReadOnlyError: You can't write against a read only replica" in message
    await store.close()


@on_redis
@pytest.mark.parametrize("command", ["hset", "eval", "expireat"])
async def test_a_redis_user_who_may_not(place: Place, admin: Any, command: str) -> None:
    admin.execute_command(
        "ACL", "SETUSER", "weak", "on", f">{PASSWORD}", "~*", "+@all", f"-{command}"
    )
    store = open_store(place.url().replace("://:", "://weak:"))
    message = await failure(store.put("a", DOCUMENT, later()))
    assert "can't run" in message or "no permissions" in message
    await store.close()


@on_redis
async def test_a_redis_with_something_else_under_the_key(place: Place, admin: Any) -> None:
    admin.set("lamella:c:a", "text")
    store = open_store(place.url())
    assert "WRONGTYPE" in await failure(store.put("a", DOCUMENT, later()))
    await store.close()


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
async def test_a_row_that_postgresql_does_not_take(place: Place) -> None:
    """PostgreSQL quotes the row in the error's DETAIL."""
    store = open_store(place.url())
    assert isinstance(store, SqlStore)
    rule = "ALTER TABLE lamella_connections ADD CONSTRAINT small CHECK (length(document) < 10)"
    await store._database.run([Statement(rule, ())])
    await store.put("a", {}, later())
    row = await store.get("a")
    assert row is not None
    short = {"s": SECRET}  # PostgreSQL quotes the beginning
    for work in (store.put("a", short, later()), store.replace("a", short, row.version)):
        message = await failure(work)
        assert "CheckViolation" in message
        assert 'violates check constraint "small"): check that it runs' in message
    await store.close()


@pytest.mark.parametrize(("kind", "operation"), [("dynamodb", "GetItem"), ("s3", "GET")])
async def test_half_of_an_answer(place: Place, front: Front, operation: str) -> None:
    def halve(call: Call, ask: Any) -> Answer:
        answer: Answer = ask(call)
        return answer._replace(body=answer.body[:-20])

    store = open_store(place.url())
    await store.put("a", DOCUMENT, later())
    front.fail(operation, halve)
    assert "'s answer: status 200, " in await failure(store.get("a"))
    await store.close()


async def test_an_address_shows_no_password() -> None:
    shown = repr(parse(f"redis://user:{PASSWORD}@host/0"))
    assert PASSWORD not in shown
    assert "redis://user:***@host/0" in shown
