"""A FastAPI endpoint that waits for something else, as most do."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/hello")
async def hello() -> dict[str, str]:
    await asyncio.sleep(0.05)
    return {"hello": "world"}
