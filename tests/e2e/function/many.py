"""A function for managed instances: it tells who it is, slowly, and in every place it can."""

import asyncio
import json
import os

from bare import answer, body, lifespan, made, start

import lamella

released = asyncio.Event()
begun = set()
all_begun = asyncio.Event()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    await ROUTES[scope["path"]](scope, receive, send)


def me():
    current = lamella.current_invocation()
    return [current.context.aws_request_id, current.context.tenant_id, current.trace_id]


async def whoami(scope, receive, send):
    number = int(scope["query_string"])
    seen = [me()]
    await asyncio.sleep(number % 7 / 1000)
    seen.append(await asyncio.create_task(in_a_task()))
    await asyncio.sleep(number % 3 / 1000)
    seen.append(await asyncio.to_thread(me))
    scoped = scope["aws.context"].aws_request_id
    await answer(send, {"number": number, "seen": seen, "scoped": scoped, "pid": os.getpid()})


async def in_a_task():
    await asyncio.sleep(0)
    return me()


async def wait(scope, receive, send):
    await asyncio.sleep(float(scope["query_string"]))
    await answer(send, os.getpid())


async def hold(scope, receive, send):
    """Answer once there is the file that the query names."""
    await made(scope["query_string"])
    await answer(send, os.getpid())


async def ticks(scope, receive, send):
    """Five parts; the second waits until three streams have begun."""
    await start(send, content_type=b"text/plain")
    for number in range(5):
        await body(send, scope["query_string"] + b"%d " % number, more=True)
        begun.add(scope["query_string"])
        if len(begun) == 3:
            all_begun.set()
        await all_begun.wait()
    await body(send, b"")


async def later(scope, receive, send):
    """Work on until a later request for /release."""
    await answer(send, "accepted", status=202)
    await released.wait()
    print(json.dumps({"later": "done"}), flush=True)


async def release(scope, receive, send):
    released.set()
    await answer(send, "released")


async def die(scope, receive, send):
    os._exit(9)


ROUTES = {f"/{f.__name__}": f for f in (whoami, wait, hold, ticks, later, release, die)}
