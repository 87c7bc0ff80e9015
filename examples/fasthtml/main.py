"""A FastHTML application."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from fasthtml.common import (
    Div,
    EventStream,
    FastHTML,
    JSONResponse,
    RedirectResponse,
    Request,
    StreamingResponse,
    UploadFile,
)
from starlette.background import BackgroundTask

done = 0
startups = 0


def startup():
    """Run once for each environment."""
    global startups
    startups += 1


# Without a key FastHTML writes one into the function's folder, which is read-only on Lambda.
app = FastHTML(
    exts="ws",
    secret_key=os.environ.get("SECRET_KEY", "for development only"),
    on_startup=[startup],
)
app.static_route_exts(static_path=Path(__file__).parent)
rt = app.route


@rt("/json")
async def hello():
    return JSONResponse({"hello": "wörld"})


@rt("/echo/{value}")
async def echo(value: str, q: str):
    return JSONResponse({"value": value, "q": q})


@rt("/form", methods=["POST"])
async def form(name: str):
    return JSONResponse({"name": name})


@rt("/upload", methods=["POST"])
async def upload(file: UploadFile):
    data = await file.read()
    digest = hashlib.sha256(data).hexdigest()
    return JSONResponse({"filename": file.filename, "size": len(data), "sha256": digest})


@rt("/cookies")
async def cookies():
    response = JSONResponse({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@rt("/redirect")
async def leave(request: Request):
    return RedirectResponse(request.url_for("hello"))


@rt("/validate")
async def validate(count: int):
    return JSONResponse({"count": count})


@rt("/error")
async def error():
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number)
        await asyncio.sleep(0.1)


@rt("/stream")
async def stream():
    return StreamingResponse(ticks("part {}\n"), media_type="text/plain")


@rt("/sse")
async def sse():
    return EventStream(ticks("data: {}\n\n"))


@rt("/background", methods=["POST"])
async def start_job():
    return JSONResponse({}, 202, background=BackgroundTask(job))


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@rt("/background", methods=["GET"])
async def jobs():
    return JSONResponse({"done": done})


@rt("/state")
async def state():
    return JSONResponse({"startups": startups})


async def greet(send):
    await send("welcome")


async def leave_talk():
    print("the client left", flush=True)


@app.ws("/ws", conn=greet, disconn=leave_talk)
async def talk(msg: str):
    return Div(msg, id="talk")
