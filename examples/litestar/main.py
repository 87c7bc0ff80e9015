"""A Litestar application."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Annotated

from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import WebSocketDisconnect
from litestar.logging import LoggingConfig
from litestar.params import Body
from litestar.response import Redirect, ServerSentEvent, Stream
from litestar.static_files import create_static_files_router

done = 0
URL_ENCODED = Body(media_type=RequestEncodingType.URL_ENCODED)
MULTI_PART = Body(media_type=RequestEncodingType.MULTI_PART)


async def startup(app: Litestar) -> None:
    """Run once for each environment."""
    app.state.startups = app.state.get("startups", 0) + 1


@get("/json", name="hello", sync_to_thread=False)
def hello() -> dict[str, str]:
    return {"hello": "wörld"}


@get("/echo/{value:str}")
async def echo(value: str, q: str) -> dict[str, str]:
    return {"value": value, "q": q}


@post("/form", status_code=200)
async def form(data: Annotated[dict[str, str], URL_ENCODED]) -> dict[str, str]:
    return {"name": data["name"]}


@post("/upload", status_code=200)
async def upload(data: Annotated[dict[str, UploadFile], MULTI_PART]) -> dict[str, object]:
    file = data["file"]
    content = await file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"filename": file.filename, "size": len(content), "sha256": digest}


@get("/cookies")
async def cookies() -> Response[dict[str, str]]:
    response = Response[dict[str, str]]({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@get("/redirect", status_code=307)
async def leave(request: Request) -> Redirect:
    return Redirect(request.url_for("hello"), status_code=307)


@get("/validate")
async def validate(count: int) -> dict[str, int]:
    return {"count": count}


@get("/error")
async def error() -> None:
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template: str):
    for number in range(3):
        yield template.format(number)
        await asyncio.sleep(0.1)


@get("/stream", media_type="text/plain")
async def stream() -> Stream:
    return Stream(ticks("part {}\n"))


@get("/sse")
async def sse() -> ServerSentEvent:
    return ServerSentEvent(ticks("{}"))


@post("/background", status_code=202)
async def start_job() -> Response[dict[str, str]]:
    return Response({}, background=BackgroundTask(job))


async def job() -> None:
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@get("/background")
async def jobs() -> dict[str, int]:
    return {"done": done}


@get("/state")
async def state(state: State) -> dict[str, int]:
    return {"startups": state.startups}


@websocket("/ws")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("welcome")
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        print("the client left", flush=True)


app = Litestar(
    on_startup=[startup],
    # By default exceptions are logged in debug mode only.
    logging_config=LoggingConfig(log_exceptions="always"),
    route_handlers=[
        *(hello, echo, form, upload, cookies, leave, validate, error),
        *(stream, sse, start_job, jobs, state, talk),
        create_static_files_router("/static", [Path(__file__).parent / "static"]),
    ],
)
