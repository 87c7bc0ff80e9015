"""A Responder application."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import responder
from responder import Query
from starlette.websockets import WebSocketDisconnect

app = responder.API(
    static_dir=str(Path(__file__).parent / "static"),
    templates_dir=None,
    secret_key=os.environ.get("RESPONDER_SECRET_KEY"),
)
done = 0
startups = 0
tasks = set()


@app.on_event("startup")
async def startup():
    """Run once for each environment."""
    global startups
    startups += 1


@app.get("/json")
async def hello(req, resp):
    resp.media = {"hello": "wörld"}


@app.get("/echo/{value}")
async def echo(req, resp, *, value):
    resp.media = {"value": value, "q": req.params["q"]}


@app.post("/form")
async def form(req, resp):
    fields = await req.media("form")
    resp.media = {"name": fields["name"]}


@app.post("/upload")
async def upload(req, resp):
    file = (await req.media("files"))["file"]
    data = await file.read()
    digest = hashlib.sha256(data).hexdigest()
    resp.media = {"filename": file.filename, "size": len(data), "sha256": digest}


@app.get("/cookies")
async def cookies(req, resp):
    resp.set_cookie("first", "1")
    resp.set_cookie("second", "2")


@app.get("/redirect")
async def redirect(req, resp):
    app.redirect(resp, urljoin(req.full_url, app.url_for(hello)))


@app.get("/validate")
async def validate(req, resp, *, count: int = Query()):
    resp.media = {"count": count}


@app.get("/error")
async def error(req, resp):
    raise RuntimeError("this is the example's unhandled error")


async def ticks():
    for number in range(3):
        yield number
        await asyncio.sleep(0.1)


@app.get("/stream")
async def stream(req, resp):
    @resp.stream
    async def body():
        async for number in ticks():
            yield f"part {number}\n"


@app.sse("/sse")
async def sse(req, resp) -> AsyncIterator[responder.SSE[int]]:
    async for number in ticks():
        yield responder.SSE(number)


@app.post("/background")
async def start_job(req, resp):
    resp.status_code = 202
    # Not app.background.task: its threads freeze with the environment, and nobody waits for them.
    task = asyncio.create_task(job())
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@app.get("/background")
async def jobs(req, resp):
    resp.media = {"done": done}


@app.get("/state")
async def state(req, resp):
    resp.media = {"startups": startups}


@app.websocket_route("/ws")
async def talk(ws):
    await ws.accept()
    await ws.send_text("welcome")
    try:
        while True:
            await ws.send_text(await ws.receive_text())
    except WebSocketDisconnect:
        print("the client left", flush=True)
