"""What every store does, whatever is behind it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from lamella.websocket.store import Member, Store
from lamella.websocket.stores import open_store
from tests.websocket.stores.conftest import ALL, Place

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", ALL)]

ENDPOINT = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod"
STRANGE = [
    "a/b",
    "a#b",
    "a=b",
    " ",
    "a b+c",
    "%2F",
    "..",
    "~2F",
    "Zürich",
    "日本",
    "g#x",
    "#",
    "*?[",
]
DOCUMENT: dict[str, Any] = {
    "scope": {"path": "/ws", "headers": [["x-name", "Zürich \u0000 \ud800 \U0001f600"]]},
    "session": {},
    "accepted_at": None,
    "big": "x" * 100_000,
}


def later(seconds: int = 3600) -> int:
    return int(time.time()) + seconds


async def members_of(store: Store, group: str) -> dict[str, str]:
    """The endpoints by connection; nobody is given twice."""
    found = [member async for page in store.members(group) for member in page]
    members = {member.connection_id: member.endpoint for member in found}
    assert len(members) == len(found)
    return members


async def gone(store: Store, connection_id: str) -> None:
    """Wait until a row has expired."""
    while await store.get(connection_id) is not None:  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(0.1)


async def test_a_document_comes_back_as_it_was(store: Store) -> None:
    await store.put("L0SM9cOFvHcCIhw=", DOCUMENT, later())
    row = await store.get("L0SM9cOFvHcCIhw=")
    assert row is not None
    assert row.document == DOCUMENT


async def test_put_takes_the_place_of_what_there_was(store: Store) -> None:
    await store.put("a", {"n": 1}, later())
    old = await store.get("a")
    await store.put("a", {"n": 2}, later())
    new = await store.get("a")
    assert old is not None
    assert new is not None
    assert new.document == {"n": 2}
    assert not await store.replace("a", {"n": 3}, old.version)


async def test_what_was_never_kept_is_none(store: Store) -> None:
    assert await store.get("nobody") is None
    await store.delete("nobody")
    await store.group_discard("nothing", "nobody")
    assert await members_of(store, "nothing") == {}


async def test_replace_keeps_the_new_document_once(store: Store) -> None:
    await store.put("a", {"n": 1}, later())
    row = await store.get("a")
    assert row is not None
    assert await store.replace("a", {"n": 2}, row.version)
    assert not await store.replace("a", {"n": 3}, row.version)
    found = await store.get("a")
    assert found is not None
    assert found.document == {"n": 2}


async def test_a_document_that_did_not_change_has_a_new_version(store: Store) -> None:
    await store.put("a", {"n": 1}, later())
    row = await store.get("a")
    assert row is not None
    assert await store.replace("a", {"n": 1}, row.version)
    assert not await store.replace("a", {"n": 1}, row.version)


async def test_a_row_that_vanished_is_not_replaced(store: Store) -> None:
    await store.put("a", {"n": 1}, later())
    row = await store.get("a")
    assert row is not None
    await store.delete("a")
    assert not await store.replace("a", {"n": 2}, row.version)
    assert await store.get("a") is None


async def test_of_many_writers_one_wins(store: Store) -> None:
    await store.put("a", {"n": 0}, later())
    row = await store.get("a")
    assert row is not None
    writes = [store.replace("a", {"n": 1}, row.version) for _ in range(10)]
    assert sorted(await asyncio.gather(*writes)) == [False] * 9 + [True]


async def test_writers_who_try_again_lose_nothing(place: Place) -> None:
    """Two stores, as two environments have them."""
    stores = [open_store(place.url()), open_store(place.url())]
    await stores[0].put("a", {"seen": []}, later())

    async def write(store: Store, name: str) -> None:
        for number in range(5):
            while True:
                row = await store.get("a")
                assert row is not None
                seen = [*row.document["seen"], f"{name}{number}"]
                if await store.replace("a", {"seen": seen}, row.version):
                    break

    await asyncio.gather(*(write(store, name) for store, name in zip(stores, "xy", strict=True)))
    row = await stores[0].get("a")
    assert row is not None
    assert sorted(row.document["seen"]) == sorted(f"{n}{i}" for n in "xy" for i in range(5))
    for store in stores:
        await store.close()


async def test_what_has_expired_is_not_given(store: Store) -> None:
    await store.put("a", {"n": 1}, later(-1))
    assert await store.get("a") is None
    await store.group_add("g", Member("a", ENDPOINT), later(-1))
    await store.group_add("g", Member("b", ENDPOINT), later())
    assert await members_of(store, "g") == {"b": ENDPOINT}


async def test_a_row_expires_in_its_time(store: Store) -> None:
    end = later(4)  # a busy machine may need seconds to read it
    await store.put("a", {"n": 1}, end)
    await store.group_add("g", Member("a", ENDPOINT), end)
    row = await store.get("a")
    await gone(store, "a")
    assert row is not None
    assert not await store.replace("a", {"n": 2}, row.version)
    assert await members_of(store, "g") == {}


async def test_replace_leaves_the_time_to_live(store: Store) -> None:
    await store.put("a", {"n": 1}, later(4))
    row = await store.get("a")
    assert row is not None
    assert await store.replace("a", {"n": 2}, row.version)
    await gone(store, "a")


async def test_an_expired_row_can_be_put_again(store: Store) -> None:
    await store.put("a", {"n": 1}, later(-1))
    await store.put("a", {"n": 2}, later())
    row = await store.get("a")
    assert row is not None
    assert row.document == {"n": 2}


async def test_members_come_and_go(store: Store) -> None:
    await store.group_add("g", Member("a", ENDPOINT), later())
    await store.group_add("g", Member("b", "http://127.0.0.1:3000/local"), later())
    await store.group_add("h", Member("a", ENDPOINT), later())
    assert await members_of(store, "g") == {"a": ENDPOINT, "b": "http://127.0.0.1:3000/local"}
    await store.group_discard("g", "a")
    assert await members_of(store, "g") == {"b": "http://127.0.0.1:3000/local"}
    assert await members_of(store, "h") == {"a": ENDPOINT}


async def test_who_is_added_again_is_there_once(store: Store) -> None:
    await store.group_add("g", Member("a", "https://old"), later(60))
    await store.group_add("g", Member("a", "https://new"), later(120))
    assert await members_of(store, "g") == {"a": "https://new"}
    await store.group_discard("g", "a")
    assert await members_of(store, "g") == {}


async def test_who_is_added_again_lives_longer(store: Store) -> None:
    await store.group_add("g", Member("b", ENDPOINT), later())
    await store.group_add("g", Member("a", ENDPOINT), later(-1))
    await store.group_add("g", Member("a", ENDPOINT), later())
    assert await members_of(store, "g") == {"a": ENDPOINT, "b": ENDPOINT}


async def test_delete_takes_the_connection_out_of_its_groups(store: Store) -> None:
    await store.put("a", {}, later())
    groups = [f"group {number}" for number in range(30)]
    for group in groups:
        await store.group_add(group, Member("a", ENDPOINT), later())
        await store.group_add(group, Member("b", ENDPOINT), later())
    await store.delete("a")
    assert await store.get("a") is None
    for group in groups:
        assert await members_of(store, group) == {"b": ENDPOINT}


async def test_memberships_without_a_row_are_deleted_too(store: Store) -> None:
    await store.group_add("g", Member("a", ENDPOINT), later())
    await store.delete("a")
    assert await members_of(store, "g") == {}


async def test_names_may_be_anything(store: Store) -> None:
    for number, name in enumerate(STRANGE):
        await store.put(name, {"n": number}, later())
        for group in (name, "all"):
            await store.group_add(group, Member(name, ENDPOINT), later())
    for number, name in enumerate(STRANGE):
        row = await store.get(name)
        assert row is not None
        assert row.document == {"n": number}
        assert await members_of(store, name) == {name: ENDPOINT}
    assert await members_of(store, "all") == dict.fromkeys(STRANGE, ENDPOINT)
    for name in STRANGE[1:]:
        await store.delete(name)
    assert await members_of(store, "all") == {STRANGE[0]: ENDPOINT}
    await store.group_discard("all", STRANGE[0])
    assert await members_of(store, "all") == {}


async def test_a_large_group_comes_in_pages(kind: str, store: Store) -> None:
    # A page is 1,000 members, DynamoDB's 1 MB.
    endpoint = ENDPOINT + "/" * (2000 if kind == "dynamodb" else 0)
    names = {f"connection {number}" for number in range(1200)}
    for start in range(0, 1200, 100):
        batch = sorted(names)[start : start + 100]
        adding = (store.group_add("g", Member(name, endpoint), later()) for name in batch)
        await asyncio.gather(*adding)
    pages = [page async for page in store.members("g")]
    assert len(pages) > 1 or kind in ("redis", "valkey")  # the server chooses
    assert sorted(member.connection_id for page in pages for member in page) == sorted(names)


async def test_a_reader_may_leave_early(store: Store) -> None:
    for name in "abc":
        await store.group_add("g", Member(name, ENDPOINT), later())
    async for page in store.members("g"):
        assert page
        break
    assert len(await members_of(store, "g")) == 3


async def test_members_may_be_removed_while_they_are_read(store: Store) -> None:
    for number in range(40):
        await store.group_add("g", Member(str(number), ENDPOINT), later())
    async for page in store.members("g"):
        for member in page:
            await store.delete(member.connection_id)
    assert await members_of(store, "g") == {}


async def test_a_store_that_was_closed_opens_again(store: Store) -> None:
    await store.put("a", {"n": 1}, later())
    await store.close()
    assert await store.get("a") is not None


async def test_what_was_read_is_the_callers(store: Store) -> None:
    await store.put("a", DOCUMENT, later())
    first = await store.get("a")
    assert first is not None
    first.document["session"]["n"] = 1
    second = await store.get("a")
    assert second is not None
    assert json.dumps(second.document) == json.dumps(DOCUMENT)
