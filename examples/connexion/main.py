"""A Connexion application: openapi.yaml says what there is, this module does it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path

from connexion import AsyncApp, request
from connexion.lifecycle import ConnexionResponse
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, StreamingResponse

STATIC = Path(__file__).parent / "static"

done = 0
startups = 0


@asynccontextmanager
async def lifespan(app):
    """Run once for each environment."""
    global startups
    startups += 1
    yield {"startups": startups}


async def hello():
    return {"hello": "wörld"}


async def echo(value, q):
    return {"value": value, "q": q}


async def form(body):
    return {"name": body["name"]}


async def upload(file):
    data = await file.read()
    digest = hashlib.sha256(data).hexdigest()
    return {"filename": file.filename, "size": len(data), "sha256": digest}


async def cookies():
    response = JSONResponse({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


async def leave():
    here = request.url
    target = here.replace(path=here.path.removesuffix("/redirect") + "/json")
    return ConnexionResponse(status_code=307, headers={"location": str(target)})


async def validate(count):
    return {"count": count}


async def error():
    raise RuntimeError("this is the example's unhandled error")


async def ticks(template):
    for number in range(3):
        yield template.format(number)
        await asyncio.sleep(0.1)


async def stream():
    return StreamingResponse(ticks("part {}\n"), media_type="text/plain")


async def sse():
    return StreamingResponse(ticks("data: {}\n\n"), media_type="text/event-stream")


async def start_job():
    return JSONResponse({}, 202, background=BackgroundTask(job))


async def job():
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


async def jobs():
    return {"done": done}


async def static(name):
    return FileResponse(STATIC / Path(name).name)


async def state():
    return {"startups": request.state.startups}


app = AsyncApp(__name__, lifespan=lifespan)
app.add_api("openapi.yaml")
