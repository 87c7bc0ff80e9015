"""One FastAPI application for a queue, a bucket, a schedule and HTTP clients.

Each source has a route of its own (`ASGI_EVENTS_PATH=/events/{source}`).
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote_plus

from fastapi import FastAPI
from pydantic import BaseModel

from lamella.events import each_record

logger = logging.getLogger("shop")
app = FastAPI()


class Order(BaseModel):
    """What a message of the queue holds."""

    item: str
    quantity: int


@app.get("/")
async def index() -> dict[str, str]:
    """For HTTP clients: the same function answers at its URL."""
    return {"shop": "open"}


@app.post("/events/sqs")
async def orders(event: dict[str, Any]) -> dict[str, Any]:
    """A batch of messages: those that fail come again, and no other."""
    return await each_record(event, take)


async def take(record: dict[str, Any]) -> None:
    """One message. A body that is no order raises ValidationError, so the message comes again."""
    order = Order.model_validate_json(record["body"])
    if order.quantity > 100:
        raise ValueError(f"there are not {order.quantity} of {order.item}")
    logger.warning("took %d of %s", order.quantity, order.item)


@app.post("/events/s3")
async def uploaded(event: dict[str, Any]) -> None:
    """Objects that are new in the bucket. An error fails the event, and Lambda tries it again."""
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])  # S3 encodes it as a form
        logger.warning("new in %s: %s", record["s3"]["bucket"]["name"], key)


@app.post("/events/eventbridge")
async def nightly(event: dict[str, Any]) -> dict[str, str]:
    """The schedule. Its `detail` is what the template says."""
    logger.warning("the job of %s", event["time"])
    return {"done": event["time"]}
