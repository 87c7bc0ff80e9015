"""Routes and WebSockets for the questions of tests/aws/questions.py: what a door does at its edges.

/headers/BYTES          header values of that size
/late/SECONDS           an answer after so long
/silence/SECONDS        a stream with a pause of so long
/drip/BYTES/SECONDS     a stream of four pieces of that size, so far apart
/query                  the query map of the event
/sandbox                where the process runs
wss://...?probe=NAME    see TALKS
"""

import asyncio
import os

from answers import answer, answer_json, put, start

PIECES = 4
FILL = 4000
"""Bytes of one header at most: no server in between takes a line of any length."""


def numbers(scope):
    """The numbers in a path, from its second part on."""
    return [float(part) for part in scope["path"].split("/") if part.replace(".", "").isdigit()]


async def headers(scope, receive, send):
    left = int(numbers(scope)[0])
    pairs = []
    while left > 0:
        pairs.append((f"x-fill-{len(pairs)}", "x" * min(left, FILL)))
        left -= FILL
    await answer(send, b"{}", "application/json", headers=pairs)


async def late(scope, receive, send):
    await asyncio.sleep(numbers(scope)[0])
    await answer(send, b"late", "text/plain")


async def silence(scope, receive, send):
    await start(send, 200, [("content-type", "text/plain")])
    await put(send, b"before\n", more=True)
    await asyncio.sleep(numbers(scope)[0])
    await put(send, b"after\n")


async def drip(scope, receive, send):
    size, pause = numbers(scope)
    await start(send, 200, [("content-type", "application/octet-stream")])
    for number in range(PIECES):
        if number:
            await asyncio.sleep(pause)
        await put(send, b"x" * int(size), more=number < PIECES - 1)


async def query(scope, receive, send):
    """Of the event no more: it names the account."""
    await answer_json(send, scope.get("aws.event", {}).get("queryStringParameters"))


async def sandbox(scope, receive, send):
    home = os.environ.get("HOME", "")
    folders = ("/tmp", "/var/task", "/opt")
    about = {
        "root": os.getuid() == 0,
        "home": os.path.isdir(home),
        "writable": [folder for folder in folders if os.access(folder, os.W_OK)],
    }
    await answer_json(send, about)


async def accept_headers(receive, send):
    await receive()
    pairs = [(b"x-lamella", b"1"), (b"set-cookie", b"lamella=1")]
    await send({"type": "websocket.accept", "subprotocol": "lamella", "headers": pairs})
    await receive()


async def refuse(receive, send):
    await receive()
    pairs = [(b"content-type", b"text/plain")]
    await send({"type": "websocket.http.response.start", "status": 403, "headers": pairs})
    await send({"type": "websocket.http.response.body", "body": b"refused by the application"})


async def greet(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "greeting"})
    await receive()


async def close(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close", "code": 4001, "reason": "of the application"})


ROUTES = {
    "headers": headers,
    "late": late,
    "silence": silence,
    "drip": drip,
    "query": query,
    "sandbox": sandbox,
}
TALKS = {
    "probe=accept": accept_headers,
    "probe=refuse": refuse,
    "probe=greet": greet,
    "probe=close": close,
}
"""What a WebSocket does, by its query."""
