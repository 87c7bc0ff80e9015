"""Requests that the application answers before its first invocation: `ASGI_WARMUP`.

A framework does much in its first request only: it imports modules, builds its middleware and its
validators, and Python specialises the bytecode that runs. In init nobody waits for that, and
Lambda gives it whole processors.

    /items/1 ──▶ a Function URL's event ──▶ the whole way of an event ──▶ its status

Each way in serves such an event as it serves those of Lambda, and throws the answer away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from lamella.errors import InitError
from lamella.settings import Settings
from lamella.types import Event

logger = logging.getLogger("lamella")

NAME = "lamella-warmup"
"""The user agent of these requests, and the first label of their Function URL."""

MARK = "lamella.warmup"
"""The key of an event by which the application can tell it; no client can write it."""

TIMES = 3
"""How often each target is asked for: Python specialises bytecode that has run twice. The first
request then costs 1.1 to 1.3 of the second one's CPU, and 1.5 after a single time [measured]."""

Serve = Callable[[Event, str, float], Awaitable[int]]
"""Serves an event under a request id, in so many seconds: its status, 0 where it failed."""


async def run(settings: Settings, started: bool, seconds: float, serve: Serve) -> None:
    """Ask for the targets of the setting, one after the other; all together have `seconds`.

    `started`: whether lifespan startup is over. A failure is a warning. Raises `InitError` where
    it is to be more.
    """
    failed: set[str] = set()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    for number, target in enumerate(settings.warmup * TIMES, start=1):
        if target in failed:
            continue
        left = end - loop.time()
        ended = "was left out, because no time is left of init"
        if left > 0:
            request_id = f"warmup-{number}"
            status = await serve(event_for(target, request_id), request_id, left)
            if 200 <= status < 400:
                continue
            ended = f"was answered with {status}" if status else "failed"
        failed.add(target)
        message = _failure(target, ended, started)
        if settings.warmup_failures == "error":
            raise InitError(message, "Runtime.WarmupFailed")
        logger.warning("%s", message)


async def has_ended(request: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for the end of a request that has so many seconds: whether it came.

    An application may cancel every task that it finds, and with them the one that waits here.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds + 0.1  # what still runs then ignores its end
    while not request.done() and loop.time() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.wait({request}, timeout=end - loop.time())
    return request.done()


def _failure(target: str, outcome: str, started: bool) -> str:
    if started:
        return (
            f"ASGI_WARMUP: GET {target} {outcome}. Name what is answered with a status below 400."
        )
    return (
        f"ASGI_WARMUP: GET {target} {outcome}, without lifespan startup, which is still to come. "
        "Where the application needs it, ASGI_SNAPSTART_LIFESPAN=before runs it before the "
        "snapshot."
    )


def event_for(target: str, request_id: str) -> Event:
    """A Function URL's event of a GET: for a path, or for a URL whose host the application sees."""
    scheme, url, rest = target.rpartition("://")
    host, slash, rest = rest.partition("/") if url else ("localhost", "", rest)
    path, _, query = (slash + rest).partition("?")
    return {
        MARK: True,
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "host": host,
            "user-agent": NAME,
            "accept": "*/*",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": scheme or "https",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": NAME,
            "domainName": f"{NAME}.lambda-url.{os.environ.get('AWS_REGION', '')}.on.aws",
            "domainPrefix": NAME,
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": NAME,
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }


def function_arn() -> str:
    """What the function's ARN has in init, where nobody can know the account: no account."""
    environ = os.environ
    name = environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
    return f"arn:aws:lambda:{environ.get('AWS_REGION', '')}::function:{name}"


class Context:
    """What a Lambda context has, for the ways in whose runtime makes the others."""

    client_context = None
    tenant_id = None

    def __init__(self, request_id: str, seconds: float) -> None:
        environ = os.environ
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn()
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.identity = SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds to the end of the warm-up, 0 after it."""
        return max(int((self._end - time.monotonic()) * 1000), 0)
