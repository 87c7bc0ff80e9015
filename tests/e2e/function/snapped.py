"""A function for SnapStart: hooks, and when lifespan ran."""

import asyncio
import os

import snapshot_restore_py
from bare import answer

SEEN = []


@snapshot_restore_py.register_before_snapshot
def before():
    if os.environ.get("FAIL") == "before":
        raise ValueError("cannot close the pool")
    asyncio.run(asyncio.sleep(0))  # what a hook that closes a pool does
    SEEN.append("before")


@snapshot_restore_py.register_after_restore
def after():
    if os.environ.get("FAIL") == "after":
        raise ValueError("cannot open the pool")
    SEEN.append("after")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if os.environ.get("FAIL") == "startup":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        SEEN.append("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await answer(send, {"seen": SEEN})
