"""The application: nothing in it knows of Lambda."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/")
async def index() -> dict[str, str]:
    """A plain answer."""
    return {"hello": "world"}


@app.get("/count")
async def count() -> StreamingResponse:
    """Ten lines, one each half second, which arrive one by one where the front door streams."""

    async def lines() -> AsyncIterator[str]:
        for number in range(10):
            yield f"{number}\n"
            await asyncio.sleep(0.5)

    return StreamingResponse(lines(), media_type="text/plain")
