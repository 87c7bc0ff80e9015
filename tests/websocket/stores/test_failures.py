"""What goes wrong between a store and its server, and that it is right again afterwards."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from lamella.errors import SettingError, StoreError
from lamella.websocket.store import Member, Store
from lamella.websocket.stores import open_store
from tests.front_of_moto import Answer, Ask, Call
from tests.ports import free_port
from tests.websocket.stores.conftest import SERVED, Place, hide, make_place
from tests.websocket.stores.front import (
    Fault,
    Front,
    denied,
    denied_by_s3,
    halved,
    slow_down,
    throttled,
)
from tests.websocket.stores.servers import PASSWORD, Proxy, Server

pytestmark = pytest.mark.anyio

on_servers = pytest.mark.parametrize("kind", SERVED)


def later() -> int:
    return int(time.time()) + 3600


async def all_members(store: Store, group: str) -> list[Member]:
    return [member async for page in store.members(group) for member in page]


OPERATIONS: dict[str, Callable[[Store], Coroutine[Any, Any, Any]]] = {
    "put": lambda store: store.put("a", {}, later()),
    "get": lambda store: store.get("a"),
    "delete": lambda store: store.delete("a"),
    "group_add": lambda store: store.group_add("g", Member("a", "https://e"), later()),
    "group_discard": lambda store: store.group_discard("g", "a"),
    "members": lambda store: all_members(store, "g"),
}

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@pytest.fixture
async def store(place: Place, proxy: Proxy) -> AsyncIterator[Store]:
    """A store behind the proxy, which has spoken to its server once."""
    store = open_store(place.url(proxy.port))
    await store.put("kept", {"n": 1}, later())
    yield store
    proxy.flow()
    await store.close()


async def failure(work: Coroutine[Any, Any, Any]) -> str:
    """The message of the `StoreError` that the work ends in; it shows no password."""
    with pytest.raises(StoreError) as caught:
        await work
    message = str(caught.value)
    assert PASSWORD not in message
    return message


# A lost server


@on_servers
@every_operation
async def test_no_server_at_all(
    place: Place, operation: Callable[[Store], Coroutine[Any, Any, Any]]
) -> None:
    port = free_port()
    store = open_store(place.url(port))
    message = await failure(operation(store))
    assert re.match(
        rf"The connection store \S+127\.0\.0\.1:{port}\S* failed \(\w+: .+\): ", message
    )
    assert "check that it runs" in message
    await store.close()


@on_servers
async def test_a_connection_that_died_while_idle_is_replaced(store: Store, proxy: Proxy) -> None:
    """As after a freeze: nobody is told, the next operation works."""
    for operation in OPERATIONS.values():
        proxy.reset()
        await operation(store)
    proxy.reset()
    row = await store.get("kept")
    assert row is not None
    proxy.reset()
    assert await store.replace("kept", {"n": 2}, row.version)


@on_servers
async def test_a_server_that_goes_and_comes_back(store: Store, proxy: Proxy) -> None:
    await proxy.vanish()
    for operation in OPERATIONS.values():
        assert " failed (" in await failure(operation(store))
    await proxy.listen()
    for operation in OPERATIONS.values():
        await operation(store)
    row = await store.get("kept")
    assert row is not None
    assert await store.replace("kept", {"n": 2}, row.version)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("redis", "redis"), ("valkey", "redis"), ("asyncpg", "postgresql"), ("psycopg", "postgresql")],
)
async def test_a_server_process_that_is_killed_and_started_again(
    place: Place, name: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(name)
    store = open_store(place.url())
    await store.put("a", {}, later())
    server.stop()
    try:
        await failure(store.get("a"))
        await failure(store.put("a", {}, later()))
    finally:
        server.start()
    await store.put("a", {"n": 2}, later())
    assert await store.get("a") is not None
    await store.close()


@pytest.mark.parametrize("kind", ["redis", "valkey", "psycopg", "dynamodb", "s3"])
async def test_a_write_whose_answer_was_lost_counts_as_done(store: Store, proxy: Proxy) -> None:
    row = await store.get("kept")
    assert row is not None
    proxy.lose()
    assert await store.replace("kept", {"n": 2}, row.version)
    found = await store.get("kept")
    assert found is not None
    assert found.document == {"n": 2}
    assert not await store.replace("kept", {"n": 3}, row.version)


# A slow server


@on_servers
async def test_a_server_that_does_not_answer(place: Place, proxy: Proxy) -> None:
    store = open_store(place.url(proxy.port, timeout="2"))
    await store.put("kept", {"n": 1}, later())
    proxy.hold()
    failures = (failure(operation(store)) for operation in OPERATIONS.values())
    for message in await asyncio.gather(*failures):
        assert "within 2 s" in message
        assert "reach" in message
    proxy.flow()
    row = await store.get("kept")
    assert row is not None
    assert row.document == {"n": 1}
    await store.close()


@on_servers
async def test_a_server_that_takes_connections_and_says_nothing(place: Place, proxy: Proxy) -> None:
    proxy.hold()
    store = open_store(place.url(proxy.port, timeout="2"))
    assert "within 2 s" in await failure(store.get("a"))
    proxy.flow()
    assert await store.get("a") is None
    await store.close()


@on_servers
async def test_many_wait_for_a_slow_server_and_all_are_told(place: Place, proxy: Proxy) -> None:
    store = open_store(place.url(proxy.port, timeout="3"))
    await store.put("kept", {"n": 1}, later())
    proxy.hold()
    ended = await asyncio.gather(*(store.get("kept") for _ in range(12)), return_exceptions=True)
    assert {type(each) for each in ended} == {StoreError}
    proxy.flow()
    rows = await asyncio.gather(*(store.get("kept") for _ in range(12)))
    assert all(row is not None for row in rows)
    await store.close()


@on_servers
async def test_who_is_cancelled_does_not_wait_for_the_server(store: Store, proxy: Proxy) -> None:
    """The server still says nothing, so the end of the task is the store's own doing."""
    proxy.hold()
    tasks = [asyncio.ensure_future(store.get("kept")) for _ in range(3)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    _, pending = await asyncio.wait(tasks, timeout=3)
    assert not pending
    proxy.flow()
    assert await store.get("kept") is not None


@on_servers
async def test_nothing_runs_on_after_a_store_is_closed(place: Place) -> None:
    before = asyncio.all_tasks()
    async with Proxy(place.port) as proxy:
        store = open_store(place.url(proxy.port, timeout="2"))
        await store.put("kept", {"n": 1}, later())
        proxy.hold()
        await failure(store.get("kept"))
        await store.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


# A store that is not set up


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg", "dynamodb", "s3"])
@every_operation
async def test_a_store_that_is_not_set_up(
    kind: str,
    operation: Callable[[Store], Coroutine[Any, Any, Any]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = make_place(kind, request, tmp_path, monkeypatch)
    store = open_store(place.url())
    message = await failure(operation(store))
    shown = place.url().replace(PASSWORD, "***")
    assert message.startswith(f"The connection store {shown} is not set up (")
    assert message.endswith(f"): run `lamella websocket init {shown}`.")
    await store.close()


@pytest.mark.parametrize("kind", ["redis", "valkey", "asyncpg", "psycopg"])
async def test_a_wrong_password(place: Place) -> None:
    store = open_store(place.url().replace(PASSWORD, "wr0ng-one"))
    message = await failure(store.get("a"))
    assert " failed (" in message
    assert "wr0ng-one" not in message
    await store.close()


@pytest.mark.parametrize("kind", ["redis", "valkey", "asyncpg", "psycopg", "dynamodb"])
async def test_a_name_that_no_server_takes(place: Place) -> None:
    store = open_store(place.url())
    await failure(store.put("half of a pair: \ud83d", {}, later()))
    await failure(store.group_add("\ud83d", Member("a", "https://e"), later()))
    assert await store.get("a") is None
    await store.close()


@pytest.mark.parametrize(
    ("url", "packages", "advice"),
    [
        ("redis://h", ["redis", "valkey"], "redis or valkey, and neither is installed: add redis"),
        ("postgresql://h/d", ["asyncpg", "psycopg"], "asyncpg or psycopg[binary], and neither is"),
    ],
)
async def test_a_function_without_the_driver(
    url: str, packages: list[str], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in packages:
        hide(package, monkeypatch)
    with pytest.raises(SettingError, match=re.escape(advice)) as caught:
        open_store(url)
    assert str(caught.value).startswith(f"ASGI_WEBSOCKET_STORE='{url}' is not allowed: it needs ")


@pytest.mark.parametrize(
    ("package", "code", "advice"),
    [
        (
            "psycopg",  # as it is without libpq
            "raise ImportError('no pq wrapper available.\\nAttempts made: c, binary, python')",
            "psycopg is installed and does not import (ImportError: no pq wrapper available. "
            "Attempts made: c, binary, python): install psycopg[binary] for the function's version "
            "of Python and its architecture",
        ),
        (
            "asyncpg",  # as it is for another architecture
            "import asyncpg.protocol",
            "asyncpg is installed and does not import (ModuleNotFoundError: No module named "
            "'asyncpg.protocol'): install asyncpg for",
        ),
        ("redis", "import no_such_module", "(ModuleNotFoundError: No module named 'no_such_module"),
    ],
)
async def test_a_driver_that_does_not_import(
    package: str, code: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    if package == "psycopg":
        hide("asyncpg", monkeypatch)
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingError, match=re.escape(advice)):
        open_store("redis://h" if package == "redis" else "postgresql://h/d")


# What AWS may answer


def page(call: Call, ask: Ask) -> Answer:
    """What some other server answers."""
    return Answer(200, {"Content-Type": "text/html"}, b"<html><p>hi")


def other_json(call: Call, ask: Ask) -> Answer:
    """What another service answers."""
    return Answer(200, {"Content-Type": "application/json"}, b'{"hello": "world"}')


def other_xml(call: Call, ask: Ask) -> Answer:
    """What another service answers."""
    return Answer(200, {}, b"<hello/>")


def no_xml(call: Call, ask: Ask) -> Answer:
    """An error that only looks like one of S3's."""
    return Answer(403, {}, b'<?xml version="1.0" encoding="none"?><Error/>')


@pytest.mark.parametrize(
    ("kind", "operation", "asked", "fault", "words"),
    [
        ("dynamodb", "put", "PutItem", page, "status 200, text/html, 11 bytes"),
        ("dynamodb", "get", "GetItem", page, "status 200, text/html, 11 bytes"),
        ("dynamodb", "delete", "Query", other_json, "status 200, application/json, 18 bytes"),
        ("dynamodb", "members", "Query", page, "status 200, text/html, 11 bytes"),
        ("s3", "get", "GET", page, "status 200, text/html, 11 bytes"),
        ("s3", "get", "GET", other_json, "status 200, application/json, 18 bytes"),
        ("s3", "delete", "GET", page, "status 200, text/html, 11 bytes"),
        ("s3", "members", "GET", other_xml, "status 200, no type, 8 bytes"),
    ],
)
async def test_an_answer_that_is_not_the_service_s(
    place: Place, front: Front, operation: str, asked: str, fault: Fault, words: str
) -> None:
    store = open_store(place.url())
    front.fail(asked, fault)
    message = await failure(OPERATIONS[operation](store))
    service = "DynamoDB" if place.kind == "dynamodb" else "S3"
    assert f" failed (not {service}'s answer: {words}): check that it runs" in message
    await store.close()


@pytest.mark.parametrize("kind", ["s3"])
async def test_an_error_that_is_not_the_service_s(place: Place, front: Front) -> None:
    store = open_store(place.url())
    front.fail("GET", no_xml)
    assert " failed (status 403: <?xml version" in await failure(store.get("a"))
    await store.close()


@pytest.mark.parametrize("kind", ["dynamodb"])
async def test_dynamodb_that_throttles_is_asked_again(place: Place, front: Front) -> None:
    store = open_store(place.url())
    front.fail("PutItem", throttled, times=3)
    await store.put("a", {"n": 1}, later())
    assert front.seen.count("PutItem") == 4
    assert await store.get("a") is not None
    await store.close()


@pytest.mark.parametrize("kind", ["dynamodb"])
async def test_dynamodb_that_goes_on_throttling(place: Place, front: Front) -> None:
    store = open_store(place.url())
    front.fail("PutItem", throttled, times=100)
    message = await failure(store.put("a", {"n": 1}, later()))
    assert " failed (ThrottlingException: Slower): " in message
    await store.close()


@pytest.mark.parametrize("kind", ["dynamodb"])
async def test_writes_that_dynamodb_leaves_are_written_later(place: Place, front: Front) -> None:
    store = open_store(place.url())
    for number in range(30):
        await store.group_add(f"g{number}", Member("a", "https://e"), later())
    front.fail("BatchWriteItem", halved, times=4)
    await store.delete("a")
    for number in range(30):
        assert await all_members(store, f"g{number}") == []
    await store.close()


@pytest.mark.parametrize("kind", ["dynamodb"])
async def test_writes_that_dynamodb_never_does(place: Place, front: Front) -> None:
    def undone(call: Call, ask: Ask) -> Answer:
        rest = {"UnprocessedItems": json.loads(call.body)["RequestItems"]}
        return Answer(200, {}, json.dumps(rest).encode())

    store = open_store(place.url())
    front.fail("BatchWriteItem", undone, times=100)
    message = await failure(store.group_discard("g", "a"))
    assert " failed (UnprocessedItems: 1 writes were not done): " in message
    await store.close()


@pytest.mark.parametrize(
    ("kind", "operation", "fault", "words"),
    [
        ("dynamodb", "GetItem", denied, "AccessDeniedException: User: arn:aws:sts::"),
        (
            *("s3", "GET", denied_by_s3),
            "AccessDenied: Access Denied; names of buckets are global, so this one may be somebody",
        ),
    ],
)
async def test_a_role_without_the_policy(
    place: Place, front: Front, operation: str, fault: Fault, words: str
) -> None:
    store = open_store(place.url())
    front.fail(operation, fault)
    assert f" failed ({words}" in await failure(store.get("a"))
    await store.close()


@pytest.mark.parametrize("kind", ["s3"])
async def test_s3_that_is_busy_is_asked_again(place: Place, front: Front) -> None:
    store = open_store(place.url())
    front.fail("PUT", slow_down, times=3)
    await store.put("a", {"n": 1}, later())
    front.fail("GET", slow_down, times=100)
    assert " failed (SlowDown: Please reduce" in await failure(store.get("a"))
    await store.close()


# SQLite


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/none/file.db")
    assert "failed (OperationalError: unable to open database file)" in await failure(
        store.get("a")
    )


async def test_a_locked_database_is_waited_for_in_vain(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/file.db?timeout=3")
    await store.put("a", {"n": 1}, later())
    other = sqlite3.connect(tmp_path / "file.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "database is locked" in await failure(store.put("a", {"n": 2}, later()))
    assert await store.get("a") is not None  # readers do not wait
    other.execute("ROLLBACK")
    other.close()
    await store.put("a", {"n": 3}, later())
