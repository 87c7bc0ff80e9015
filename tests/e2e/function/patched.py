"""Applications that change what an event loop stands on. PATCHED says with what."""

import os

PATCHED = os.environ["PATCHED"]
if PATCHED == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif PATCHED == "eventlet":
    import eventlet

    eventlet.monkey_patch()
elif PATCHED == "nest_asyncio":
    import nest_asyncio

    nest_asyncio.apply()


async def nothing():
    return b"ok"


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    body = b"ok"
    if PATCHED == "nest_asyncio":
        import asyncio

        body = asyncio.run(nothing())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
