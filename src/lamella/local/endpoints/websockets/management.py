"""The API at `/{stage}/@connections/{id}`: send to a client, ask about it, close it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html.
Statuses and error types are AWS's; it does not document the words of the messages.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from lamella.front_doors.door import HttpRequest, HttpResponse, json_response
from lamella.local.endpoints.websockets.client import Client, ClientState, Gone
from lamella.local.endpoints.websockets.events import new_id
from lamella.local.endpoints.websockets.signature import Unsigned, check_signature

MAX_POST = 131_072
"""Bytes of one message to a client: 128 KiB."""

NORMAL_CLOSURE = (1000, "Connection Closed Normally")
"""How AWS closes a connection that is deleted (seen in its logs)."""


class Management:
    """Answers requests; `clients` by connection id, `credentials` are secrets by access key id.

    `posts_per_second` None is no limit.
    """

    def __init__(
        self,
        clients: Mapping[str, Client],
        credentials: Mapping[str, str],
        region: str,
        posts_per_second: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients = clients
        self._credentials = credentials
        self._region = region
        self._limit = posts_per_second
        self._clock = clock
        self._posts: deque[float] = deque()

    async def answer(self, request: HttpRequest, raw_id: str) -> HttpResponse:
        """The response to one request; `raw_id` is the last segment of its path, as sent."""
        try:
            check_signature(request, self._credentials, self._region, time.time())
            client = self._clients.get(unquote(raw_id))
            if client is None or client.state is not ClientState.OPEN:
                raise Gone
            if request.method == "POST":
                response = await self._post(request.body, client)
            elif request.method == "GET":
                response = json_response(200, client.about())
            elif request.method == "DELETE":
                await client.close(*NORMAL_CLOSURE)
                response = HttpResponse(204, [], b"")
            else:
                words = f"{request.method} is not a method of @connections"
                response = _error(403, "ForbiddenException", words)
        except Unsigned as unsigned:
            response = _error(403, unsigned.error_type, str(unsigned))
        except Gone:
            response = _error(410, "GoneException", "Gone")
        return response._replace(headers=[*response.headers, ("x-amzn-requestid", new_id())])

    async def _post(self, body: bytes, client: Client) -> HttpResponse:
        """Send a message, one of at most so many in any second. Raises Gone."""
        if len(body) > MAX_POST:
            words = f"The message is {len(body)} bytes; {MAX_POST} are allowed"
            return _error(413, "PayloadTooLargeException", words)
        if self._limit is not None:
            now = self._clock()
            while self._posts and self._posts[0] <= now - 1.0:
                self._posts.popleft()
            if len(self._posts) >= self._limit:
                return _error(429, "LimitExceededException", "Too many messages a second")
            self._posts.append(now)
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            words = f"A message to a client is text, and this is not UTF-8: {error}"
            return _error(400, "BadRequestException", words)
        await client.post(text)
        return HttpResponse(200, [], b"")


def _error(status: int, error_type: str, message: str) -> HttpResponse:
    response = json_response(status, {"message": message})
    return response._replace(headers=[*response.headers, ("x-amzn-errortype", error_type)])
