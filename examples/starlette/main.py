"""A Starlette application."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

done = 0
startups = 0


@asynccontextmanager
async def lifespan(app):
    """Run once for each environment."""
    global startups
    startups += 1
    yield {"startups": startups}


async def hello(request):
    return JSONResponse({"hello": "wörld"})


async def echo(request):
    return JSONResponse({"value": request.path_params["value"], "q": request.query_params["q"]})


async def form(request):
    fields = await request.form()
    return JSONResponse({"name": fields["name"]})


async def upload(request):
    async with request.form() as fields:
        file = fields["file"]
        data = await file.read()
    digest = hashlib.sha256(data).hexdigest()
    return JSONResponse({"filename": file.filename, "size": len(data), "sha256": digest})


async def cookies(request):
    response = JSONResponse({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


async def redirect(request):
    return RedirectResponse(request.url_for("hello"))


async def validate(request):
    try:
        return JSONResponse({"count": int(request.query_params["count"])})
    except ValueError:
        raise HTTPException(422, "count is not a number") from None


async def error(request):
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number)
        await asyncio.sleep(0.1)


async def stream(request):
    return StreamingResponse(ticks("part {}\n"), media_type="text/plain")


async def sse(request):
    return StreamingResponse(ticks("data: {}\n\n"), media_type="text/event-stream")


async def start_job(request):
    return JSONResponse({}, 202, background=BackgroundTask(job))


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


async def jobs(request):
    return JSONResponse({"done": done})


async def state(request):
    return JSONResponse({"startups": request.state.startups})


async def talk(websocket):
    await websocket.accept()
    await websocket.send_text("welcome")
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        print("the client left", flush=True)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/json", hello),
        Route("/echo/{value}", echo),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/cookies", cookies),
        Route("/redirect", redirect),
        Route("/validate", validate),
        Route("/error", error),
        Route("/stream", stream),
        Route("/sse", sse),
        Route("/background", start_job, methods=["POST"]),
        Route("/background", jobs),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        Route("/state", state),
        WebSocketRoute("/ws", talk),
    ],
)
