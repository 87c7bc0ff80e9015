"""What is too large or too long for a store, and what may grow and does not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lamella.errors import StoreError
from lamella.websocket.store import Member, Store
from lamella.websocket.stores.common import encoded
from tests.front_of_moto import Answer, Call
from tests.websocket.stores.conftest import ALL, Place
from tests.websocket.stores.front import Front, denied, denied_by_s3
from tests.websocket.stores.test_init import client

pytestmark = pytest.mark.anyio

ENDPOINT = "https://abc123.execute-api.eu-west-1.amazonaws.com/prod"

on_all = pytest.mark.parametrize("kind", ALL)


def later(seconds: int = 3600) -> int:
    return int(time.time()) + seconds


async def members_of(store: Store, group: str) -> list[Member]:
    return [member async for page in store.members(group) for member in page]


# Documents


def test_text_is_as_large_as_it_is() -> None:
    assert encoded({"日": "ü"}) == '{"日":"ü"}'


def test_half_of_a_pair_is_escaped() -> None:
    assert encoded({"a": "\\ \ud83d"}) == '{"a":"\\\\ \\ud83d"}'


@pytest.mark.parametrize("kind", ["dynamodb"])
async def test_a_document_that_dynamodb_keeps(store: Store) -> None:
    """Two bytes for each character, and not the six of its escape sequence."""
    document = {"waiting": ["ü" * 200_000]}
    await store.put("a", document, later())
    row = await store.get("a")
    assert row is not None
    assert row.document == document


@pytest.mark.parametrize("kind", ["dynamodb"])
async def test_a_document_that_is_too_large_for_dynamodb(store: Store, place: Place) -> None:
    await store.put("a", {}, later())
    row = await store.get("a")
    assert row is not None
    document = {"session": "ü" * 205_000}
    for work in (store.put("a", document, later()), store.replace("a", document, row.version)):
        with pytest.raises(StoreError) as caught:
            await work
        assert str(caught.value) == (
            "A WebSocket's handshake and session have 410,014 bytes, and the connection store "
            f"{place.url()} takes 407,552 (DynamoDB's items have 400 KB): keep less in the "
            "session, or send less before the first receive()."
        )


# Names


@on_all
@pytest.mark.parametrize("group", ["x" * 900, "日" * 300, "/" * 900], ids=["x", "日", "slash"])
async def test_a_long_group_name(store: Store, group: str) -> None:
    others = [group[:-1], group[:-1] + "!"]
    for name in (group, *others):
        await store.group_add(name, Member("L0SM9cOFvHcCIhw=", ENDPOINT), later())
    assert await members_of(store, group) == [Member("L0SM9cOFvHcCIhw=", ENDPOINT)]
    await store.group_discard(group, "L0SM9cOFvHcCIhw=")
    assert await members_of(store, group) == []
    for name in others:
        assert len(await members_of(store, name)) == 1
    await store.delete("L0SM9cOFvHcCIhw=")
    for name in others:
        assert await members_of(store, name) == []


@on_all
async def test_a_group_name_that_is_too_long(store: Store) -> None:
    group = "日" * 301
    for work in (
        store.group_add(group, Member("a", ENDPOINT), later()),
        store.group_discard(group, "a"),
        members_of(store, group),
    ):
        with pytest.raises(StoreError) as caught:
            await work
        assert str(caught.value) == (
            f"The group name '{'日' * 40}'... has 903 bytes in UTF-8, and connection stores take "
            "900: use a shorter one, such as a digest of it."
        )


@pytest.mark.parametrize("kind", ["dynamodb", "s3"])
async def test_a_connection_id_that_is_too_long(store: Store) -> None:
    for work in (
        store.get("x" * 901),
        store.delete("x" * 901),
        store.group_add("g", Member("x" * 901, ENDPOINT), later()),
    ):
        with pytest.raises(StoreError, match=r"The connection ID 'x{40}'\.\.\. has 901 bytes in"):
            await work


@pytest.mark.parametrize("kind", ["s3"])
async def test_keys_are_as_short_as_s3_wants_them(store: Store, place: Place, front: Front) -> None:
    for group in ("x" * 900, "日" * 300, "x" * 200):
        await store.group_add(group, Member("L0SM9cOFvHcCIhw=", ENDPOINT), later())
    bucket = place.url()[5:].partition("/")[0]
    listing = client("s3", front).list_objects_v2(Bucket=bucket)
    keys = [each["Key"] for each in listing["Contents"]]
    assert len(keys) == 6
    assert max(map(len, keys)) <= 1024 - 512  # a long prefix fits in besides


# Memberships


@pytest.mark.parametrize("kind", ["s3"])
async def test_joining_again_leaves_one_object(store: Store, place: Place, front: Front) -> None:
    for seconds in range(20):
        await store.group_add("g", Member("a", ENDPOINT), later(3600 + seconds))
    await store.group_add("g", Member("ab", ENDPOINT), later())
    bucket = place.url()[5:].partition("/")[0]
    listing = client("s3", front).list_objects_v2(Bucket=bucket, Prefix="web/sockets/g/")
    assert listing["KeyCount"] == 2
    assert len(await members_of(store, "g")) == 2


@pytest.mark.parametrize(
    ("kind", "write", "fault"), [("dynamodb", "PutItem", denied), ("s3", "PUT", denied_by_s3)]
)
async def test_a_membership_that_was_half_written_is_deleted(
    store: Store, front: Front, write: str, fault: Any
) -> None:
    await fail_second(front, write, fault, store.group_add("g", Member("a", ENDPOINT), later()))
    await store.delete("a")
    assert await members_of(store, "g") == []


@pytest.mark.parametrize(
    ("kind", "write", "fault"),
    [("dynamodb", "BatchWriteItem", denied), ("s3", "DELETE", denied_by_s3)],
)
async def test_a_membership_that_was_half_discarded_is_deleted(
    store: Store, front: Front, write: str, fault: Any
) -> None:
    await store.group_add("g", Member("a", ENDPOINT), later())
    await fail_second(front, write, fault, store.group_discard("g", "a"))
    await store.delete("a")
    assert await members_of(store, "g") == []


async def fail_second(front: Front, write: str, fault: Any, work: Any) -> None:
    """Let the first `write` of the work be done, and the second one not."""
    done: list[Call] = []

    def second(call: Call, ask: Any) -> Answer:
        done.append(call)
        answer: Answer = ask(call) if len(done) == 1 else fault(call, ask)
        return answer

    front.fail(write, second, times=2)
    with pytest.raises(StoreError, match="AccessDenied"):
        await work
    front.recover()
