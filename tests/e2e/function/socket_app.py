"""A bare WebSocket application: what each event gets, it says."""

import json
import os

from bare import lifespan


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    await receive()
    if scope["path"] != "/ws":
        await send({"type": "websocket.close"})
        return
    connection = scope["extensions"]["lamella.websocket"]
    session = connection["session"]
    await send({"type": "websocket.accept", "subprotocol": "chat"})
    await send({"type": "websocket.send", "text": f"welcome {scope['state']['started']}"})
    while (message := await receive())["type"] == "websocket.receive":
        session["count"] = session.get("count", 0) + 1
        told = {"echo": message["text"], "count": session["count"], "pid": os.getpid()}
        await send({"type": "websocket.send", "text": json.dumps(told)})
    print(f"left {message['code']} {message['reason']} after {session}", flush=True)
