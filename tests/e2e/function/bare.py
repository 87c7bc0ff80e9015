"""A function of bare ASGI applications: everything end-to-end tests ask for, no dependencies."""

import asyncio
import contextvars
import json
import os
import sys
import threading
import time

STARTED = []
RESULTS = []


async def app(scope, receive, send):
    """Dispatch: lifespan, or the route that the path names."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    route = ROUTES.get(scope["path"].removeprefix(scope["root_path"]), not_found)
    await route(scope, receive, send)


async def lifespan(scope, receive, send):
    await receive()
    STARTED.append(os.getpid())
    scope["state"]["started"] = len(STARTED)
    print("lifespan startup", flush=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("lifespan shutdown", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def start(send, status=200, content_type=b"application/json", headers=()):
    pairs = [(b"content-type", content_type), *headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def body(send, data, more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def answer(send, content, status=200, headers=()):
    await start(send, status, headers=headers)
    await body(send, json.dumps(content).encode())


async def hello(scope, receive, send):
    content = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "started": scope["state"]["started"],
        "pid": os.getpid(),
        "request_id": scope["aws.context"].aws_request_id,
    }
    cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await answer(send, content, headers=cookies)


async def echo(scope, receive, send):
    message = await receive()
    await start(send, content_type=b"application/octet-stream")
    await body(send, message["body"])


async def size(scope, receive, send):
    await answer(send, len((await receive())["body"]))


async def ticks(scope, receive, send):
    await start(send, content_type=b"text/event-stream")
    for number in range(3):
        await body(send, b"data: %d\n\n" % number, more=True)
        await asyncio.sleep(0.3)
    await body(send, b"")


async def flood(scope, receive, send):
    await start(send, content_type=b"application/octet-stream")
    chunk = b"x" * 65536
    for _ in range(1600):  # 100 MiB
        await body(send, chunk, more=True)
    await body(send, b"")


async def nothing(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await body(send, b"")


async def job(scope, receive, send):
    async def work():
        await asyncio.sleep(0.5)
        RESULTS.append("task")

    scope["state"]["task"] = asyncio.ensure_future(work())
    await answer(send, "accepted", status=202)
    await asyncio.sleep(0.3)
    RESULTS.append("background")


async def made(file):
    """Wait until there is this file."""
    while not os.path.exists(file):  # noqa: ASYNC110  another process makes it
        await asyncio.sleep(0.01)


async def held(scope, receive, send):
    """Answer, and work on until there is the file that the query names."""
    await answer(send, "accepted", status=202)
    await made(scope["query_string"])


async def confirmed(scope, receive, send):
    """Three parts; after each waits for a file of its number in the folder of the query."""
    await start(send, content_type=b"text/event-stream")
    for number in range(3):
        await body(send, b"data: %d\n\n" % number, more=True)
        await made(scope["query_string"] + b"/%d" % number)
    await body(send, b"")


async def results(scope, receive, send):
    await answer(send, RESULTS)


async def slow(scope, receive, send):
    print("slow has begun", flush=True)
    await asyncio.sleep(60)


async def crash(scope, receive, send):
    raise RuntimeError("a secret of the application")


async def crash_late(scope, receive, send):
    await start(send, content_type=b"text/plain")
    await body(send, b"first", more=True)
    await asyncio.sleep(0.1)
    raise RuntimeError("a secret of the application")


async def leave(scope, receive, send):
    raise SystemExit(3)


async def large(scope, receive, send):
    await start(send, content_type=b"text/plain")
    await body(send, b"x" * 6_300_000)


async def events(scope, receive, send):
    body = (await receive())["body"]
    event = json.loads(body)
    if event.get("fail"):
        await answer(send, "cannot do that", status=500)
    elif event.get("mirror"):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
    elif event.get("source"):
        await answer(send, scope["extensions"]["lamella.event"])
    else:
        await answer(send, {"got": event})


async def modules(scope, receive, send):
    lamella = [m for n, m in sorted(sys.modules.items()) if n.split(".")[0] == "lamella"]
    content = {
        "files": [m.__file__ for m in lamella],
        "cached": [m.__spec__.cached for m in lamella],
        "path": sys.path,
        "environ": dict(os.environ),
    }
    await answer(send, content)


async def block(scope, receive, send):
    time.sleep(60)  # noqa: ASYNC251  the fault that is tested


async def stubborn(scope, receive, send):
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("not so fast", flush=True)
            await asyncio.sleep(60)  # cancelled again


async def endless(scope, receive, send):
    await start(send, content_type=b"text/plain")
    while True:
        await body(send, b"tick", more=True)
        await asyncio.sleep(0.05)


async def leak(scope, receive, send):
    async def forgotten():
        await asyncio.sleep(60)

    scope["state"]["leak"] = asyncio.ensure_future(forgotten())
    await answer(send, "leaked")


async def headers(scope, receive, send):
    named = {name.decode(): value.decode() for name, value in scope["headers"]}
    await answer(send, [named, os.environ.get("_X_AMZN_TRACE_ID")])


async def empty_first(scope, receive, send):
    await start(send, content_type=b"text/plain")
    await body(send, b"", more=True)
    await asyncio.sleep(0.1)
    await body(send, b"hello")


USER = contextvars.ContextVar("user", default="nobody")


async def context(scope, receive, send):
    before = USER.get()
    USER.set("alice")
    await answer(send, before)
    await asyncio.sleep(0.2)  # the answer is acknowledged while this runs


async def hurried(scope, receive, send):
    """A send that is given up, and one after it: neither may break the other."""
    await start(send, content_type=b"text/plain")
    cancelled = 0
    for _ in range(400):
        try:
            await asyncio.wait_for(body(send, b"x" * 65536, more=True), 0.001)
        except TimeoutError:
            cancelled += 1
    await body(send, b"cancelled %d" % cancelled)


async def crash_at_once(scope, receive, send):
    await start(send, content_type=b"text/plain")
    raise RuntimeError("before the first byte")


async def leave_in_a_task(scope, receive, send):
    async def leave():
        raise SystemExit(3)

    await asyncio.create_task(leave())


async def with_thread(scope, receive, send):
    threading.Thread(target=time.sleep, args=(60,)).start()
    await answer(send, "started")


async def not_found(scope, receive, send):
    await answer(send, scope["path"], status=404)


ROUTES = {
    f"/{function.__name__}": function
    for function in (
        hello, echo, size, ticks, flood, nothing, job, held, confirmed, results, slow, crash,
        crash_late, leave, large, events, modules, block, stubborn, endless, leak, headers,
        empty_first, context, hurried, crash_at_once, leave_in_a_task, with_thread,
    )
}  # fmt: skip


async def fails_to_start(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def exits_at_start(scope, receive, send):
    await receive()
    raise SystemExit(3)


async def never_starts(scope, receive, send):
    await asyncio.sleep(60)
