"""A Sanic application."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from sanic import Sanic
from sanic.exceptions import BadRequest
from sanic.response import json, redirect

app = Sanic("example")
app.config.PROXIES_COUNT = 1  # the front door's x-forwarded-proto says https
app.static("/static", Path(__file__).parent / "static", name="static")
app.ctx.done = 0
app.ctx.startups = 0


@app.before_server_start
async def startup(app):
    """Run once for each environment."""
    app.ctx.startups += 1


@app.get("/json")
async def hello(request):
    return json({"hello": "wörld"})


@app.get("/echo/<value:str>", unquote=True)
async def echo(request, value):
    return json({"value": value, "q": request.args.get("q")})


@app.post("/form")
async def form(request):
    return json({"name": request.form.get("name")})


@app.post("/upload")
async def upload(request):
    file = request.files.get("file")
    digest = hashlib.sha256(file.body).hexdigest()
    return json({"filename": file.name, "size": len(file.body), "sha256": digest})


@app.get("/cookies")
async def cookies(request):
    response = json({})
    response.add_cookie("first", "1")
    response.add_cookie("second", "2")
    return response


@app.get("/redirect")
async def leave(request):
    return redirect(request.url_for("hello"))


@app.get("/validate")
async def validate(request):
    try:
        return json({"count": int(request.args.get("count"))})
    except ValueError:
        raise BadRequest("count is not a number") from None


@app.get("/error")
async def error(request):
    raise RuntimeError("this is the example's unhandled error")


async def ticks(request, content_type, template):
    response = await request.respond(content_type=content_type)
    for number in range(3):
        await response.send(template.format(number))
        await asyncio.sleep(0.1)
    await response.eof()


@app.get("/stream")
async def stream(request):
    await ticks(request, "text/plain", "part {}\n")


@app.get("/sse")
async def sse(request):
    await ticks(request, "text/event-stream", "data: {}\n\n")


@app.post("/background")
async def start_job(request):
    request.app.add_task(job)
    return json({}, status=202)


async def job(app):
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    app.ctx.done += 1


@app.get("/background")
async def jobs(request):
    return json({"done": request.app.ctx.done})


@app.get("/state")
async def state(request):
    return json({"startups": request.app.ctx.startups})


@app.websocket("/ws")
async def talk(request, ws):
    await ws.send("welcome")
    while (message := await ws.recv()) is not None:
        await ws.send(message)
    print("the client left", flush=True)
