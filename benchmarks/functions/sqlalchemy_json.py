"""FastAPI with SQLAlchemy: one row of an in-memory SQLite database, as a model."""

# The tools are not to need SQLAlchemy: the row is measured where it is installed.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import StaticPool, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Item(BaseModel):
    id: int
    name: str
    tags: list[str]


engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Row(id=42, name="from a database"))
        session.commit()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/items/{item_id}")
async def read_item(item_id: int, tag: str = "none") -> Item:
    with Session(engine) as session:
        row = session.get_one(Row, item_id)
        return Item(id=row.id, name=row.name, tags=[tag])
