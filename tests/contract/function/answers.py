"""What the contract's applications share: the messages of bare ASGI."""

import json


async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def whole_body(receive):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def start(send, status, headers):
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def put(send, data, more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def answer(send, data, content_type, status=200, headers=()):
    length = ("content-length", str(len(data)))
    await start(send, status, [("content-type", content_type), length, *headers])
    await put(send, data)


async def answer_json(send, value, status=200):
    await answer(send, json.dumps(value).encode(), "application/json", status)
