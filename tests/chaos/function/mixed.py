"""Answers with the text of its request, well or badly, as the path says."""

import asyncio
import threading


class Panic(BaseException):
    pass


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    body = (await receive())["body"]
    way = scope["path"]
    if way == "/raise":
        raise ValueError(body)
    if way == "/panic":
        raise Panic(body)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if way == "/cut":
        raise ValueError(body)
    if way == "/pause":
        await asyncio.sleep(0.005)
    if way == "/large":
        await send({"type": "http.response.body", "body": b"x" * 300_000, "more_body": True})
    if way == "/task":
        app.task = asyncio.ensure_future(asyncio.sleep(0.002))
    if way == "/thread":
        threading.Thread(target=print, args=(body,)).start()
    await send({"type": "http.response.body", "body": b"."})
    if way == "/late":
        raise ValueError(body)
