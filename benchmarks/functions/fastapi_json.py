"""A FastAPI application with a lifespan and one JSON endpoint: path and query parameter, model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel


class Item(BaseModel):
    id: int
    name: str
    tags: list[str]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"name": "from the lifespan"}


app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def read_item(request: Request, item_id: int, tag: str = "none") -> Item:
    return Item(id=item_id, name=request.state.name, tags=[tag])
