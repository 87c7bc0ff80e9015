"""Answers after a while who was asked for what."""

import asyncio
import json
import os
import random


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    await receive()
    await asyncio.sleep(random.uniform(0, 0.1))
    context = scope["aws.context"]
    found = {"path": scope["path"], "request_id": context.aws_request_id, "pid": os.getpid()}
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(found).encode()})
