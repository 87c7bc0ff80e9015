"""A function that tells what came before its first invocation."""

import os

from bare import answer

SEEN = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        SEEN.append("startup")
        scope["state"]["pool"] = "open"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    warms = "lamella.warmup" in scope["aws.event"]
    if scope["path"] == "/leave":
        raise SystemExit(3)
    status = 200 if scope["state"].get("pool") and scope["path"] != "/missing" else 503
    SEEN.append(f"{'warm-up' if warms else 'request'} {scope['path']}")
    await answer(send, {"seen": SEEN, "pid": os.getpid()}, status)
