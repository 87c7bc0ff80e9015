"""A FastAPI application that knows nothing of Lambda, and uses what ASGI has to offer.

On a laptop: `uvicorn main:app`. On Lambda: the same file, with ASGI_APP=main:app.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypedDict

from fastapi import (
    BackgroundTasks,
    FastAPI,
    Form,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

logger = logging.getLogger("example")


class State(TypedDict):
    """What the lifespan hands to every request."""

    started_at: float
    startups: int


startups = 0
done = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Run once per environment: open connections and load models here."""
    global startups
    startups += 1
    logger.warning("starting")
    yield {"started_at": time.time(), "startups": startups}
    logger.warning("stopping")


app = FastAPI(title="Lamella's example", lifespan=lifespan)
# A folder that is not there is a 404 then, and no failed start.
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static", check_dir=False))


@app.get("/")
async def index(request: Request) -> dict[str, object]:
    """Say where the request came in, and since when this environment has been up."""
    return {
        "hello": request.client.host if request.client else None,
        "root_path": request.scope["root_path"],
        "up_seconds": round(time.time() - request.state.started_at, 3),
    }


@app.get("/json")
async def hello() -> dict[str, str]:
    """JSON with a letter that is not ASCII."""
    return {"hello": "wörld"}


@app.get("/state")
async def state(request: Request) -> dict[str, int]:
    """What lifespan startup made."""
    return {"startups": request.state.startups}


@app.get("/echo/{value}")
async def echo(value: str, q: str) -> dict[str, str]:
    """A path parameter and a query parameter, as they came in."""
    return {"value": value, "q": q}


@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None) -> dict[str, object]:
    """A path parameter and a query parameter, validated."""
    return {"item_id": item_id, "q": q}


@app.post("/form")
async def submit_form(name: Annotated[str, Form()]) -> dict[str, str]:
    """An HTML form's field."""
    return {"name": name}


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, object]:
    """A file, binary or not."""
    return {"filename": file.filename, "size": len(await file.read())}


@app.get("/cookies")
async def set_cookies(response: Response) -> dict[str, str]:
    """Two cookies, which are two headers of the same name."""
    response.set_cookie("first", "1", httponly=True)
    response.set_cookie("second", "2", httponly=True)
    return {"cookies": "set"}


@app.get("/redirect")
async def redirect(request: Request) -> RedirectResponse:
    """A URL made from the request's own, behind whatever stage or prefix it came through."""
    return RedirectResponse(request.url_for("index"))


@app.get("/events")
async def events(count: int = 5, interval: float = 0.5) -> StreamingResponse:
    """Server-sent events, which arrive one by one where the response is streamed."""

    async def ticks() -> AsyncIterator[str]:
        for number in range(count):
            if number:
                await asyncio.sleep(interval)
            yield f"data: {number}\n\n"

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.get("/stream")
async def stream() -> StreamingResponse:
    """A text in three parts."""

    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"part {number}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(parts(), media_type="text/plain")


@app.post("/background", status_code=202)
async def start_count(background: BackgroundTasks) -> dict[str, str]:
    """Count up, after the client has its answer."""
    background.add_task(count)
    return {"count": "accepted"}


async def count() -> None:
    """Take a moment."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@app.get("/background")
async def counted() -> dict[str, int]:
    """How often that was done."""
    return {"done": done}


@app.post("/jobs", status_code=202)
async def start_job(background: BackgroundTasks) -> dict[str, str]:
    """A task that runs after the client has its answer."""
    background.add_task(work)
    return {"job": "accepted"}


async def work() -> None:
    """Take a while, then tell the log."""
    await asyncio.sleep(1)
    logger.warning("the job is done")


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    """Greet, and say everything again."""
    await websocket.accept()
    await websocket.send_text("welcome")
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        print("the client left", flush=True)


@app.get("/error")
async def fail() -> None:
    """An exception that nobody handles: a 500 for the client, a traceback in the log."""
    raise RuntimeError("this is the example's unhandled error")
