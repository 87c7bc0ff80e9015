"""A Falcon application."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import falcon
import falcon.asgi

done = 0
startups = 0


class Startup:
    """Middleware with Falcon's lifespan methods."""

    async def process_startup(self, scope, event):
        """Run once for each environment."""
        global startups
        startups += 1


class Hello:
    async def on_get(self, req, resp):
        resp.media = {"hello": "wörld"}


class Echo:
    async def on_get(self, req, resp, value):
        resp.media = {"value": value, "q": req.get_param("q")}


class Form:
    async def on_post(self, req, resp):
        fields = await req.get_media()
        resp.media = {"name": fields["name"]}


class Upload:
    async def on_post(self, req, resp):
        async for part in await req.get_media():
            data = await part.stream.read()
            digest = hashlib.sha256(data).hexdigest()
            resp.media = {"filename": part.filename, "size": len(data), "sha256": digest}


class Cookies:
    async def on_get(self, req, resp):
        resp.set_cookie("first", "1")
        resp.set_cookie("second", "2")


class Redirect:
    async def on_get(self, req, resp):
        raise falcon.HTTPTemporaryRedirect(req.prefix + "/json")


class Validate:
    async def on_get(self, req, resp):
        resp.media = {"count": req.get_param_as_int("count", required=True)}


class Error:
    async def on_get(self, req, resp):
        raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number).encode()
        await asyncio.sleep(0.1)


class Stream:
    async def on_get(self, req, resp):
        resp.content_type = "text/plain"
        resp.stream = ticks("part {}\n")


class Events:
    async def on_get(self, req, resp):
        resp.sse = self.events()

    async def events(self):
        """Three events."""
        async for tick in ticks("{}"):
            yield falcon.asgi.SSEvent(text=tick.decode())


class Jobs:
    async def on_get(self, req, resp):
        resp.media = {"done": done}

    async def on_post(self, req, resp):
        resp.status = 202
        resp.schedule(self.job)

    async def job(self):
        """Work that the client does not wait for."""
        await asyncio.sleep(0.1)
        global done
        done += 1


class State:
    async def on_get(self, req, resp):
        resp.media = {"startups": startups}


class Talk:
    async def on_websocket(self, req, ws):
        try:
            await ws.accept()
            await ws.send_text("welcome")
            while True:
                await ws.send_text(await ws.receive_text())
        except falcon.WebSocketDisconnected:
            print("the client left", flush=True)


app = falcon.asgi.App(middleware=[Startup()])
app.add_route("/json", Hello())
app.add_route("/echo/{value}", Echo())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_route("/cookies", Cookies())
app.add_route("/redirect", Redirect())
app.add_route("/validate", Validate())
app.add_route("/error", Error())
app.add_route("/stream", Stream())
app.add_route("/sse", Events())
app.add_route("/background", Jobs())
app.add_route("/state", State())
app.add_route("/ws", Talk())
app.add_static_route("/static", Path(__file__).parent / "static")
