"""The contract in the words of GraphQL: one path, queries and mutations."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote_plus

from tests.matrix.client import Client, Reply
from tests.matrix.contract import BLOB, SECRET, Contract, check_work, in_parts

TICKS = {"query": "subscription { ticks }"}


async def ask(client: Client, query: str, **variables: Any) -> Reply:
    """POST a query."""
    return await client.request("POST", "/graphql", json={"query": query, "variables": variables})


async def check_json(client: Client) -> None:
    """A query."""
    reply = await ask(client, "{ hello }")
    assert (reply.status, reply.json()) == (200, {"data": {"hello": "wörld"}})


async def check_parameters(client: Client) -> None:
    """A query in the URL, with a variable."""
    query = quote_plus("query ($value: String!) { echo(value: $value) }")
    variables = quote_plus(json.dumps({"value": "x y+z&é"}, ensure_ascii=False))
    reply = await client.get(f"/graphql?query={query}&variables={variables}")
    assert (reply.status, reply.json()) == (200, {"data": {"echo": "x y+z&é"}})


async def check_upload(client: Client) -> None:
    """The multipart request of the GraphQL multipart specification."""
    query = "mutation ($file: Upload!) { upload(file: $file) { filename size sha256 } }"
    operations = json.dumps({"query": query, "variables": {"file": None}})
    reply = await client.request(
        "POST",
        "/graphql",
        data={"operations": operations, "map": '{"0": ["variables.file"]}'},
        files={"0": ("blob é.bin", BLOB, "application/octet-stream")},
    )
    digest = hashlib.sha256(BLOB).hexdigest()
    expected = {"filename": "blob é.bin", "size": len(BLOB), "sha256": digest}
    assert reply.json() == {"data": {"upload": expected}}


async def check_cookies(client: Client) -> None:
    """Two cookies that a resolver sets."""
    reply = await ask(client, "mutation { cookies }")
    found = [value.partition(";")[0] for name, value in reply.headers if name == "set-cookie"]
    assert sorted(found) == ["first=1", "second=2"]


async def check_validation(client: Client) -> None:
    """An argument of the wrong type, and one of the right."""
    assert (await ask(client, "{ count(count: 3) }")).json() == {"data": {"count": 3}}
    (error,) = (await ask(client, '{ count(count: "many") }')).json()["errors"]
    assert "Int cannot represent" in error["message"]


async def check_error(client: Client) -> None:
    """A resolver's exception: an error without its text, a log with it, and life goes on."""
    pid = client.pid
    reply = await ask(client, "{ error }")
    assert [error["message"] for error in reply.json()["errors"]] == ["Unexpected error."]
    await check_json(client)
    await client.logged(SECRET)
    assert client.pid == pid


async def check_stream(client: Client) -> None:
    """A subscription as multipart/mixed."""
    accept = {"accept": "multipart/mixed;subscriptionSpec=1.0,application/json"}
    reply = await ticks(client, accept)
    assert reply.header("content-type").startswith("multipart/mixed")


async def check_sse(client: Client) -> None:
    """A subscription as server-sent events."""
    accept = {"accept": "text/event-stream"}
    reply = await ticks(client, accept)
    assert reply.header("content-type").startswith("text/event-stream")


async def ticks(client: Client, accept: dict[str, str]) -> Reply:
    """A subscription's three results, as they are made."""

    async def subscribe() -> Reply:
        return await client.request("POST", "/graphql", json=TICKS, headers=accept)

    reply = await in_parts(client, subscribe)
    assert [b'"ticks":%d' % n in reply.body for n in range(4)] == [True] * 3 + [False]
    return reply


async def check_background(client: Client) -> None:
    """Work that a mutation starts."""

    async def done() -> int:
        count: int = (await ask(client, "{ done }")).json()["data"]["done"]
        return count

    await check_work(client, done, lambda: ask(client, "mutation { startJob }"))


GRAPHQL: Contract = {
    "JSON": check_json,
    "parameters": check_parameters,
    "upload": check_upload,
    "cookies": check_cookies,
    "validation": check_validation,
    "error": check_error,
    "stream": check_stream,
    "SSE": check_sse,
    "background": check_background,
    "base path": check_json,
    "stage": check_json,
}
