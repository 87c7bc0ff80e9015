"""One event of a connection through the function, as a Lambda proxy integration does it."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from lamella.front_doors.answer import Answer
from lamella.front_doors.delivery import Function, Throttled
from lamella.front_doors.door import Malformed, Pairs, Trouble
from lamella.front_doors.results import (
    as_object,
    body_bytes,
    merged_headers,
    parsed,
    status_code,
)
from lamella.local.process import LineCallback


class Result(NamedTuple):
    """What the function answered; header names are lower case."""

    status: int
    headers: Pairs
    body: bytes


class Failed(Exception):
    """There is no usable result; the message is the detail."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.trouble = trouble


class Integration:
    """The function behind every route; an event has `limit` seconds, failures go to `log`."""

    def __init__(self, function: Function, limit: float, log: LineCallback) -> None:
        self._function = function
        self._limit = limit
        self._log = log

    async def result(self, event: dict[str, Any]) -> Result:
        """The result of an event, as soon as the runtime has sent it. Raises Failed.

        What the function does after its answer runs on, and after the time limit too.
        """
        try:
            return _checked(await self._payload(event))
        except Failed as failed:
            route_key = event["requestContext"]["routeKey"]
            self._log(f"websocket: {route_key} failed, because {failed.trouble.value}: {failed}")
            raise

    async def _payload(self, event: dict[str, Any]) -> bytes:
        try:
            answer = await self._function.open(event)
        except Throttled as throttled:
            raise Failed(Trouble.THROTTLED, str(throttled)) from throttled
        try:
            payload = await asyncio.wait_for(_all_of(answer), self._limit)
        except asyncio.TimeoutError as error:
            answer.abandon()
            raise Failed(Trouble.TIMEOUT, f"no answer within {self._limit} s") from error
        if answer.error is not None:
            raise Failed(Trouble.FUNCTION_ERROR, answer.failure)
        return payload


async def _all_of(answer: Answer) -> bytes:
    return b"".join([piece async for piece in answer])


def _checked(payload: bytes) -> Result:
    try:
        result = as_object(parsed(payload))
        return Result(status_code(result), merged_headers(result), body_bytes(result))
    except Malformed as malformed:
        raise Failed(Trouble.MALFORMED, str(malformed)) from malformed
