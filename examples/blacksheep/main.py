"""A BlackSheep application."""

import asyncio
import hashlib
from pathlib import Path

from blacksheep import (
    Application,
    Cookie,
    Request,
    Response,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
    json,
    redirect,
)
from blacksheep.server.routing import URLResolver
from blacksheep.server.sse import ServerSentEventsResponse, TextServerSentEvent

app = Application(show_error_details=False)
app.serve_files(Path(__file__).parent / "static", root_path="static")
done = 0
startups = 0
tasks = set()


@app.on_start
async def startup(app):
    """Run once for each environment."""
    global startups
    startups += 1


@app.router.get("/json", name="hello")
async def hello():
    return json({"hello": "wörld"})


@app.router.get("/echo/{value}")
async def echo(value: str, q: str):
    return json({"value": value, "q": q})


@app.router.post("/form")
async def form(request: Request):
    fields = await request.form()
    return json({"name": fields["name"]})


@app.router.post("/upload")
async def upload(request: Request):
    (file,) = await request.files()
    digest = hashlib.sha256(file.data).hexdigest()
    name = file.file_name.decode()
    return json({"filename": name, "size": len(file.data), "sha256": digest})


@app.router.get("/cookies")
async def cookies():
    response = json({})
    response.set_cookies([Cookie("first", "1"), Cookie("second", "2")])
    return response


@app.router.get("/redirect")
async def leave(urls: URLResolver):
    return redirect(urls.absolute_url_for("hello"))


@app.router.get("/validate")
async def validate(count: int):
    return json({"count": count})


@app.router.get("/error")
async def error():
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number).encode()
        await asyncio.sleep(0.1)


async def parts():
    async for tick in ticks("part {}\n"):
        yield tick


@app.router.get("/stream")
async def stream():
    return Response(200, content=StreamedContent(b"text/plain", parts))


async def events():
    async for tick in ticks("{}"):
        yield TextServerSentEvent(tick.decode())


@app.router.get("/sse")
async def sse():
    return ServerSentEventsResponse(events)


@app.router.post("/background")
async def start_job():
    task = asyncio.create_task(job())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return json({}, status=202)


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@app.router.get("/background")
async def jobs():
    return json({"done": done})


@app.router.get("/state")
async def state():
    return json({"startups": startups})


@app.router.ws("/ws")
async def talk(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text("welcome")
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        print("the client left", flush=True)
