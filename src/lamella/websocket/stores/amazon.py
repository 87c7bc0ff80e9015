"""What the stores on AWS share: where a service is, and a service that is busy."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

from lamella.aws.client import Reply
from lamella.aws.http import split
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import Refused

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds to wait at most before a busy service is asked again."""


def region_of(address: Address) -> str:
    """The option `region`, else the function's own. Raises ValueError where neither is there."""
    region = (
        address.options.get("region")
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
    )
    if not region:
        raise ValueError("there is no AWS_REGION here: add ?region=, for example ?region=eu-west-1")
    return region


def service_url(address: Address, default: str) -> str:
    """The option `endpoint`, else the service's own URL; without a slash at its end.

    Raises ValueError for what is not the URL of a server.
    """
    url = address.options.get("endpoint", default).rstrip("/")
    try:
        is_right = not split(url).query and "#" not in url
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError(
            f"{url!r} is not the URL of a service: write an endpoint as https://HOST or "
            "http://HOST:PORT"
        )
    return url


def strange(service: str, reply: Reply) -> Refused:
    """The error for a reply that the service would not give.

    It does not quote the body: half of a right answer may be a document with its cookies.
    """
    kind = reply.headers.get("content-type", "no type")
    return Refused(
        f"not {service}'s answer: status {reply.status}, {kind}, {len(reply.body):,} bytes"
    )


async def retried(ask: Callable[[], Awaitable[Reply]], is_busy: Callable[[Reply], bool]) -> Reply:
    """The service's reply, asked again while it is busy; in the end that it is busy.

    The pauses are random, so that many who were refused together do not come back together
    (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
    """
    for pause in PAUSES:
        reply = await ask()
        if not is_busy(reply):
            return reply
        await asyncio.sleep(pause * random.random())
    return await ask()
