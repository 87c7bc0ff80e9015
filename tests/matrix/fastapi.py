"""The contract for examples/fastapi, whose routes are the README's where the two differ."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from tests.matrix.client import Client
from tests.matrix.contract import BLOB, HTTP, Contract, in_parts, sse_data


async def check_upload(client: Client) -> None:
    """A multipart form with a binary file."""
    files = {"file": ("blob é.bin", BLOB, "application/octet-stream")}
    reply = await client.request("POST", "/upload", files=files)
    assert (reply.status, reply.json()) == (200, {"filename": "blob é.bin", "size": len(BLOB)})


async def check_redirect(client: Client) -> None:
    """To the index, by url_for."""
    reply = await client.get("/redirect")
    assert reply.status == 307
    assert reply.header("location") == client.base + "/"


async def check_validation(client: Client) -> None:
    """A path parameter that is a number."""
    assert (await client.get("/items/3")).json() == {"item_id": 3, "q": None}
    assert (await client.get("/items/three")).status == 422


async def check_sse(client: Client) -> None:
    """Three server-sent events."""
    reply = await in_parts(client, lambda: client.get("/events?count=3&interval=0.1"))
    assert sse_data(reply) == [b"0", b"1", b"2"]


async def check_urls(client: Client) -> None:
    """The redirect has the prefix, and the documentation's page finds its schema."""
    await check_redirect(client)
    page = (await client.get("/docs")).body.decode()
    schema = re.search(r"url: '([^']+)'", page)
    assert schema is not None
    assert urljoin(client.base, schema[1]) == client.base + "/openapi.json"
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "Lamella's example"


FASTAPI: Contract = {
    **HTTP,
    "upload": check_upload,
    "redirect": check_redirect,
    "validation": check_validation,
    "SSE": check_sse,
    "URLs": check_urls,
}
