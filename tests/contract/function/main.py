"""The application of the contract: bare ASGI without dependencies, so that it runs anywhere."""

import asyncio
import gzip
import hashlib
import json
import uuid

import probes
from answers import answer, answer_json, lifespan, put, start, whole_body

INSTANCE = uuid.uuid4().hex
started = 0
done = []
"""Which of the jobs that have started are done."""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        talk = probes.TALKS.get(scope["query_string"].decode(), echo_messages)
        await talk(receive, send)
    else:
        path = scope["path"].removeprefix(scope["root_path"])
        route = ROUTES.get(path.split("/")[1])
        await (route or nothing)(scope, receive, send)


async def nothing(scope, receive, send):
    await answer_json(send, {"detail": "no such route"}, 404)


async def request(scope, receive, send):
    """What the application sees."""
    body = await whole_body(receive)
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("latin-1"),
        "root_path": scope["root_path"],
        "query": scope["query_string"].decode("latin-1"),
        "scheme": scope["scheme"],
        "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]],
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    await answer_json(send, seen)


async def echo(scope, receive, send):
    types = [v.decode() for n, v in scope["headers"] if n == b"content-type"]
    await answer(send, await whole_body(receive), types[0])


async def cookies(scope, receive, send):
    pairs = [("set-cookie", "first=1; Path=/"), ("set-cookie", "second=2; HttpOnly")]
    await answer(send, b"{}", "application/json", headers=pairs)


async def status(scope, receive, send):
    code = int(scope["path"].rsplit("/", 1)[1])
    if code in (204, 304):
        await start(send, code, [("etag", '"x"')])
        await put(send, b"")
    else:
        await answer_json(send, {"status": code}, code)


async def text(scope, receive, send):
    data = "wörld".encode()
    if scope["method"] == "HEAD":
        await start(send, 200, [("content-type", "text/plain"), ("content-length", "6")])
        await put(send, b"")
    else:
        await answer(send, data, "text/plain; charset=utf-8")


async def binary(scope, receive, send):
    await answer(send, bytes(range(256)), "image/png")


async def compressed(scope, receive, send):
    data = gzip.compress(b"compressed by the application", mtime=0)
    await answer(send, data, "text/plain", headers=[("content-encoding", "gzip")])


async def large(scope, receive, send):
    await answer(send, b"x" * int(scope["path"].rsplit("/", 1)[1]), "text/plain")


async def stream(scope, receive, send):
    """/stream/SECONDS: three pieces, so far apart."""
    (pause,) = probes.numbers(scope)
    await start(send, 200, [("content-type", "text/event-stream")])
    for number in range(3):
        if number:
            await asyncio.sleep(pause)
        await put(send, b"data: %d\n\n" % number, more=True)
    await put(send, b"")


async def error(scope, receive, send):
    raise RuntimeError("a secret of the application")


async def broken(scope, receive, send):
    await start(send, 200, [("content-type", "text/plain"), ("content-length", "10")])
    await put(send, b"first", more=True)
    await asyncio.sleep(0.4)  # a client has it by then
    raise RuntimeError("a secret of the application")


async def unauthorized(scope, receive, send):
    challenge = ("www-authenticate", 'Basic realm="contract"')
    await answer(send, b"{}", "application/json", 401, [challenge])


async def background(scope, receive, send):
    """POST /background/SECONDS: a job that takes so long. GET: what is done."""
    global started
    if scope["method"] == "GET":
        await answer_json(send, {"instance": INSTANCE, "done": done})
        return
    (seconds,) = probes.numbers(scope)
    started += 1
    job = started
    await answer_json(send, {"instance": INSTANCE, "job": job}, 202)
    await asyncio.sleep(seconds)
    done.append(job)


async def events(scope, receive, send):
    """An event that is not HTTP: it answers what it got, or fails if that asks for it."""
    event = json.loads(await whole_body(receive))
    await answer_json(send, {"got": event}, 500 if event.get("fail") else 200)


async def echo_messages(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"echo {message['text']}"})


ROUTES = {
    "request": request,
    "echo": echo,
    "cookies": cookies,
    "status": status,
    "text": text,
    "binary": binary,
    "compressed": compressed,
    "large": large,
    "stream": stream,
    "error": error,
    "broken": broken,
    "unauthorized": unauthorized,
    "background": background,
    "events": events,
    **probes.ROUTES,
}
