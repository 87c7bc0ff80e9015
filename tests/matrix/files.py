"""The contract for applications that serve static files by themselves, and that keep sessions."""

from __future__ import annotations

from urllib.parse import urljoin

from tests.matrix.client import Client
from tests.matrix.contract import HTTP, Contract, check_cookies, check_prefix, check_static


async def check_files(client: Client) -> None:
    """Static files are below the prefix, too."""
    await check_prefix(client)
    await check_static(client)


async def check_linked_file(client: Client) -> None:
    """The URL that a page would have leads to the file, prefix and all."""
    url = (await client.get("/linked")).json()["file"]
    assert urljoin(client.base + "/linked", url) == client.base + "/static/hello.txt"
    await check_files(client)


async def check_session(client: Client) -> None:
    """A session in a signed cookie goes on from one request to the next."""
    await check_cookies(client)
    first = await client.get("/visits")
    assert first.json() == {"visits": 1}
    (cookie,) = (value.partition(";")[0] for name, value in first.headers if name == "set-cookie")
    second = await client.get("/visits", cookie=cookie)
    assert second.json() == {"visits": 2}


DJANGO: Contract = {**HTTP, "base path": check_files, "stage": check_files}

FLASK: Contract = {
    **HTTP,
    "cookies": check_session,
    "base path": check_linked_file,
    "stage": check_linked_file,
}
