"""An ASGI application without a framework."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from urllib.parse import parse_qs, quote

STATIC = Path(__file__).parent / "static"

done = 0
startups = 0


async def app(scope, receive, send):
    """Serve lifespan, WebSockets and HTTP."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    request = Request(scope, receive, send)
    if request.path.startswith("/echo/"):
        value, q = request.path.removeprefix("/echo/"), request.query("q")
        await request.json({"value": value, "q": q})
    elif (scope["method"], request.path) in ROUTES:
        await ROUTES[scope["method"], request.path](request)
    else:
        await request.json({"error": "not found"}, 404)


async def lifespan(scope, receive, send):
    """Startup and shutdown, once for each environment."""
    global startups
    await receive()
    startups += 1
    scope["state"]["startups"] = startups
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def talk(scope, receive, send):
    """A WebSocket: greet, and say everything again."""
    await receive()
    if scope["path"].removeprefix(scope["root_path"]) != "/ws":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
    print("the client left", flush=True)


class Request:
    """One request, and the ways to answer it."""

    def __init__(self, scope, receive, send):
        self.scope = scope
        self.headers = dict(scope["headers"])
        self.path = scope["path"].removeprefix(scope["root_path"])
        self._receive = receive
        self._send = send

    def query(self, name):
        """The last value of a query parameter."""
        return parse_qs(self.scope["query_string"].decode())[name][-1]

    async def body(self):
        """All of the body."""
        body, more = b"", True
        while more:
            message = await self._receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body

    async def start(self, status, *headers):
        """Send the status and the headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data=b"", more=True):
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def json(self, value, status=200, *headers):
        """Send a whole JSON response."""
        await self.start(status, (b"content-type", b"application/json"), *headers)
        await self.write(json.dumps(value).encode(), more=False)


async def hello(request):
    await request.json({"hello": "wörld"})


async def form(request):
    fields = parse_qs((await request.body()).decode())
    await request.json({"name": fields["name"][-1]})


async def upload(request):
    boundary = request.headers[b"content-type"].partition(b"boundary=")[2]
    (_, part, _) = (b"\r\n" + await request.body()).split(b"\r\n--" + boundary)
    head, _, data = part.partition(b"\r\n\r\n")
    name = head.partition(b'filename="')[2].partition(b'"')[0].decode()
    digest = hashlib.sha256(data).hexdigest()
    await request.json({"filename": name, "size": len(data), "sha256": digest})


async def cookies(request):
    await request.json({}, 200, (b"set-cookie", b"first=1"), (b"set-cookie", b"second=2"))


async def redirect(request):
    scope, host = request.scope, request.headers[b"host"].decode()
    target = f"{scope['scheme']}://{host}{quote(scope['root_path'])}/json"
    await request.start(307, (b"location", target.encode()))
    await request.write(more=False)


async def validate(request):
    try:
        await request.json({"count": int(request.query("count"))})
    except ValueError:
        await request.json({"error": "count is not a number"}, 422)


async def error(request):
    raise RuntimeError("this is the example's unhandled error")


async def stream(request):
    await request.start(200, (b"content-type", b"text/plain"))
    for number in range(3):
        await request.write(f"part {number}\n".encode())
        await asyncio.sleep(0.1)
    await request.write(more=False)


async def sse(request):
    await request.start(200, (b"content-type", b"text/event-stream"))
    for number in range(3):
        await request.write(f"data: {number}\n\n".encode())
        await asyncio.sleep(0.1)
    await request.write(more=False)


async def start_job(request):
    await request.json({}, 202)
    await asyncio.sleep(0.1)  # the client has its answer
    global done
    done += 1


async def jobs(request):
    await request.json({"done": done})


async def static(request):
    await request.start(200, (b"content-type", b"text/plain"))
    await request.write((STATIC / "hello.txt").read_bytes(), more=False)


async def state(request):
    await request.json(request.scope["state"])


ROUTES = {
    ("GET", "/json"): hello,
    ("POST", "/form"): form,
    ("POST", "/upload"): upload,
    ("GET", "/cookies"): cookies,
    ("GET", "/redirect"): redirect,
    ("GET", "/validate"): validate,
    ("GET", "/error"): error,
    ("GET", "/stream"): stream,
    ("GET", "/sse"): sse,
    ("POST", "/background"): start_job,
    ("GET", "/background"): jobs,
    ("GET", "/static/hello.txt"): static,
    ("GET", "/state"): state,
}
