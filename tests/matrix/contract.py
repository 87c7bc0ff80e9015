"""What an application has to be able to do: one check for each ability, the same for every one.

The examples share these routes. `{base}` below is whatever a client sees in front of them.

| route | answers |
|---|---|
| GET /json | {"hello": "wörld"} |
| GET /echo/{value}?q= | {"value": ..., "q": ...} |
| POST /form (name) | {"name": ...} |
| POST /upload (file) | {"filename": ..., "size": ..., "sha256": ...} |
| GET /cookies | two Set-Cookie headers, first and second |
| GET /redirect | to {base}/json, made of the request's own URL |
| GET /validate?count= | {"count": 3}, or 400 or 422 for what is no number |
| GET /error | raises RuntimeError("this is the example's unhandled error") |
| GET /stream | part 0, part 1, part 2, PAUSE seconds apart |
| GET /sse | the same as server-sent events |
| POST /background | 202, and PAUSE seconds later one more in GET /background's {"done": 0} |
| GET /static/hello.txt | the file of that name |
| GET /state | {"startups": 1}, made by lifespan startup |
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urljoin

from tests.matrix.client import Client, Reply
from tests.waiting import PATIENCE

PAUSE = 0.1
ATTEMPTS = 3
"""How often a busy machine is asked for what depends on time."""

SECRET = "this is the example's unhandled error"
BLOB = bytes(range(256)) * 40 + b"\r\n--not a boundary\r\n"

Check = Callable[[Client], Awaitable[None]]
Contract = Mapping[str, Check]


async def check_json(client: Client) -> None:
    """JSON with a letter that is not ASCII."""
    reply = await client.get("/json")
    assert (reply.status, reply.json()) == (200, {"hello": "wörld"})
    assert reply.header("content-type").startswith("application/json")


async def check_parameters(client: Client) -> None:
    """A + is itself in a path and a space in a query; %2B is a + in both."""
    reply = await client.get("/echo/a%20b+c%2B%C3%A9?q=x+y%20z%2B%26%C3%A9")
    assert (reply.status, reply.json()) == (200, {"value": "a b+c+é", "q": "x y z+&é"})


async def check_form(client: Client) -> None:
    """A URL-encoded form."""
    reply = await client.request("POST", "/form", data={"name": "a b&c+é"})
    assert (reply.status, reply.json()) == (200, {"name": "a b&c+é"})


async def check_upload(client: Client) -> None:
    """A multipart form with a binary file."""
    files = {"file": ("blob é.bin", BLOB, "application/octet-stream")}
    reply = await client.request("POST", "/upload", files=files)
    digest = hashlib.sha256(BLOB).hexdigest()
    expected = {"filename": "blob é.bin", "size": len(BLOB), "sha256": digest}
    assert (reply.status, reply.json()) == (200, expected)


async def check_cookies(client: Client) -> None:
    """Two Set-Cookie headers, neither lost nor joined."""
    reply = await client.get("/cookies")
    found = [value.partition(";")[0] for name, value in reply.headers if name == "set-cookie"]
    assert sorted(found) == ["first=1", "second=2"]


async def check_redirect(client: Client) -> None:
    """The scheme and the host that the client used; `check_urls` looks at the path."""
    reply = await client.get("/redirect")
    assert reply.status in (301, 302, 303, 307, 308)
    target = urljoin(client.base + "/redirect", reply.header("location"))
    assert target.startswith(client.base.rpartition("//")[0]), target
    assert target.split("/")[2] == client.base.split("/")[2], target
    assert target.endswith("/json"), target


async def check_not_found(client: Client) -> None:
    """A path that is no route."""
    assert (await client.get("/missing")).status == 404


async def check_validation(client: Client) -> None:
    """Input that is refused, and input that is not."""
    reply = await client.get("/validate?count=3")
    assert (reply.status, reply.json()) == (200, {"count": 3})
    assert (await client.get("/validate?count=many")).status in (400, 422)


async def check_error(client: Client) -> None:
    """An unhandled exception: a 500 that tells no secrets, a log that does, and life goes on."""
    pid = client.pid
    reply = await client.get("/error")
    assert reply.status == 500
    assert SECRET.encode() not in reply.body
    assert (await client.get("/json")).status == 200
    await client.logged(SECRET)
    assert client.pid == pid


async def check_stream(client: Client) -> None:
    """A body in three parts."""
    reply = await in_parts(client, lambda: client.get("/stream"))
    assert (reply.status, reply.body) == (200, b"part 0\npart 1\npart 2\n")


async def check_sse(client: Client) -> None:
    """Three server-sent events."""
    reply = await in_parts(client, lambda: client.get("/sse", accept="text/event-stream"))
    assert sse_data(reply) == [b"0", b"1", b"2"]


async def in_parts(client: Client, ask: Callable[[], Awaitable[Reply]]) -> Reply:
    """An answer whose parts, PAUSE apart, arrive as they are made where the client is `streamed`.

    A busy machine may hand over several at once, so it is asked again.
    """
    for _ in range(ATTEMPTS):
        reply = await ask()
        if not client.streamed or reply.spread > PAUSE:
            return reply
    raise AssertionError("the first part waited for the last")


def sse_data(reply: Reply) -> list[bytes]:
    """The data of each server-sent event."""
    assert reply.header("content-type").startswith("text/event-stream")
    lines = reply.body.splitlines()
    return [line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:")]


async def check_background(client: Client) -> None:
    """Work after the answer."""

    async def done() -> int:
        count: int = (await client.get("/background")).json()["done"]
        return count

    async def start() -> Reply:
        reply = await client.request("POST", "/background")
        assert reply.status == 202
        return reply

    await check_work(client, done, start)


async def check_work(
    client: Client, done: Callable[[], Awaitable[int]], start: Callable[[], Awaitable[Reply]]
) -> None:
    """Work that `start` leaves behind is done, before the next request where the client is
    `serial`, and the client waits for it only if the way in cannot do without."""
    for _ in range(ATTEMPTS):  # the answer may be heard of when the work is nearly done
        before = await done()
        reply = await start()
        end = time.monotonic() + PATIENCE
        while await done() != before + 1:
            assert not client.serial, "the next request came before the work was done"
            assert time.monotonic() < end, "the work was never done"
            await asyncio.sleep(PAUSE)
        if not client.early or reply.after > PAUSE / 2:
            return
    raise AssertionError("the client waited for the work")


async def check_static(client: Client) -> None:
    """A file from the function's own folder."""
    reply = await client.get("/static/hello.txt")
    assert (reply.status, reply.body) == (200, b"hello from a file\n")
    assert reply.header("content-type").startswith("text/plain")


async def check_lifespan(client: Client) -> None:
    """Startup ran once for the environment, and what it made is there in every request."""
    for _ in range(5):
        assert (await client.get("/state")).json() == {"startups": 1}


async def check_prefix(client: Client) -> None:
    """Routes, parameters and files below a prefix."""
    await check_json(client)
    assert (await client.get("/echo/a%20b?q=1")).json() == {"value": "a b", "q": "1"}


async def check_urls(client: Client) -> None:
    """A URL that the application makes has the prefix, and leads back to it."""
    reply = await client.get("/redirect")
    assert urljoin(client.base + "/redirect", reply.header("location")) == client.base + "/json"


HTTP: Contract = {
    "JSON": check_json,
    "parameters": check_parameters,
    "form": check_form,
    "upload": check_upload,
    "cookies": check_cookies,
    "redirect": check_redirect,
    "404": check_not_found,
    "validation": check_validation,
    "error": check_error,
    "stream": check_stream,
    "SSE": check_sse,
    "background": check_background,
    "static": check_static,
    "lifespan": check_lifespan,
    "base path": check_prefix,
    "stage": check_prefix,
    "URLs": check_urls,
}
"""The abilities, in the table's order. The last three go through clients behind a prefix."""
