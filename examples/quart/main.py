"""A Quart application."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from quart import Quart, abort, jsonify, redirect, request, url_for, websocket

app = Quart(__name__, static_folder=Path(__file__).parent / "static")
app.secret_key = os.environ.get("SECRET_KEY")  # one for all environments, or sessions are lost
app.json.ensure_ascii = False
done = 0
startups = 0


@app.before_serving
async def startup():
    """Run once for each environment."""
    global startups
    startups += 1


@app.get("/json")
async def hello():
    return {"hello": "wörld"}


@app.get("/echo/<value>")
async def echo(value):
    return {"value": value, "q": request.args["q"]}


@app.post("/form")
async def form():
    fields = await request.form
    return {"name": fields["name"]}


@app.post("/upload")
async def upload():
    file = (await request.files)["file"]
    data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    return {"filename": file.filename, "size": len(data), "sha256": digest}


@app.get("/cookies")
async def cookies():
    response = jsonify({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/redirect")
async def leave():
    return redirect(url_for("hello", _external=True))


@app.get("/validate")
async def validate():
    count = request.args.get("count", type=int)
    if count is None:
        abort(400, "count is not a number")
    return {"count": count}


@app.get("/error")
async def error():
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number)
        await asyncio.sleep(0.1)


@app.get("/stream")
async def stream():
    return ticks("part {}\n"), {"content-type": "text/plain"}


@app.get("/sse")
async def sse():
    return ticks("data: {}\n\n"), {"content-type": "text/event-stream"}


@app.post("/background")
async def start_job():
    app.add_background_task(job)
    return {}, 202


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@app.get("/background")
async def jobs():
    return {"done": done}


@app.get("/state")
async def state():
    return {"startups": startups}


@app.websocket("/ws")
async def talk():
    await websocket.accept()
    await websocket.send("welcome")
    try:
        while True:
            await websocket.send(await websocket.receive())
    except asyncio.CancelledError:
        print("the client left", flush=True)
        raise
