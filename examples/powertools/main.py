"""Powertools inside an ASGI application: structured logs, metrics and traces for each request.

Powertools' decorators are made for handlers; an application has none, so a middleware does what
they do: it gives the logger the invocation's keys, and a hook writes the metrics out before the
environment is frozen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from fastapi import FastAPI, Request, Response

import lamella

logger = Logger(service="example")
metrics = Metrics(namespace="Example", service="example")
tracer = Tracer(service="example", auto_patch=False)
app = FastAPI()


@app.middleware("http")
async def observe(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """What `inject_lambda_context` does, for every request."""
    context = lamella.current_invocation().context
    logger.append_keys(function_request_id=context.aws_request_id, path=request.url.path)
    try:
        return await call_next(request)
    finally:
        logger.remove_keys(["function_request_id", "path"])


@lamella.before_freeze
def write_metrics() -> None:
    """What `log_metrics` does at a handler's end."""
    if metrics.metric_set:
        metrics.flush_metrics()


@tracer.capture_method
async def price_of(item: str) -> int:
    """A subsegment of its own in X-Ray."""
    return len(item) * 100


@app.get("/items/{item}")
async def read_item(item: str) -> dict[str, int]:
    """Log, count and trace."""
    price = await price_of(item)
    logger.info("priced", item=item, price=price)
    metrics.add_metric(name="ItemPriced", unit=MetricUnit.Count, value=1)
    return {"price": price}
