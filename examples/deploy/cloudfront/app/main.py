"""The application: nothing in it knows of Lambda or CloudFront."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.staticfiles import StaticFiles

app = FastAPI()
app.mount("/static", StaticFiles(directory="static"))


@app.get("/")
async def index() -> FileResponse:
    """A page that posts to /echo."""
    return FileResponse("static/index.html")


@app.post("/echo")
async def echo(request: Request) -> dict[str, str]:
    """What came, and the address that the browser has of it."""
    body = await request.body()
    return {"got": body.decode(), "url": str(request.url)}


@app.get("/secret")
async def secret(
    credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())],
) -> dict[str, str]:
    """Asks for a name and a password, which the browser sends as `authorization`."""
    return {"user": credentials.username}
