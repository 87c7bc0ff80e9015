"""Shorthands for the test kit's event builders: the path first, headers as keywords with _ for -.

More particular events are in tests/sources/builders.py: there they check the codecs, so nothing of
ours may have made them.
"""

from __future__ import annotations

from typing import Any

from lamella.testing import events
from lamella.types import Event

URL = "abc.lambda-url.eu-west-1.on.aws"
API = "abc.execute-api.eu-west-1.amazonaws.com"


def url_event(
    path: str = "/", *, method: str = "GET", query: str = "", body: str = "", **headers: str
) -> Event:
    """A Function URL's event."""
    named = _named(headers, URL)
    return events.function_url(path=path, method=method, query=query, body=body, headers=named)


def http_event(
    path: str = "/", *, method: str = "GET", query: str = "", body: str = "", **headers: str
) -> Event:
    """An HTTP API's event (payload 2.0)."""
    named = _named(headers, API)
    return events.http_api(path=path, method=method, query=query, body=body, headers=named)


def rest_event(path: str = "/", *, method: str = "GET", stage: str = "prod", **more: Any) -> Event:
    """A REST API's event; `more` replaces its fields."""
    host = {"host": API}
    return {**events.rest_api(path=path, method=method, stage=stage, headers=host), **more}


def alb_event(path: str = "/", *, method: str = "GET", body: str = "", **headers: str) -> Event:
    """A load balancer's event, with single-value headers."""
    named = _named(headers, "lb.example")
    return events.alb(path=path, method=method, body=body, headers=named)


def _named(headers: dict[str, str], host: str) -> dict[str, str]:
    return {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}


SQS_EVENT: Event = events.sqs(bodies=["hello"])
SQS_EVENT["Records"][0]["messageId"] = "m-1"
