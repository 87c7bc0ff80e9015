"""Answers with what it was sent, as one message or in parts."""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    body = (await receive())["body"]
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for place in range(0, len(body), 10):
        part = body[place : place + 10]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
