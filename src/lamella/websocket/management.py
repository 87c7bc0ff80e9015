"""API Gateway's @connections: to send to a WebSocket's client, and to close its connection.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
and, for the size of a message, .../websocket-api-limits.html.
"""

from __future__ import annotations

import asyncio
import json

from lamella.aws.client import AwsClient, Reply, Unreachable
from lamella.errors import ApplicationError, ClientDisconnected, ConnectionsError, WebSocketError
from lamella.websocket.endpoints import connection_url, no_region, region_of, resource_of

LARGEST = 128 * 1024
"""Bytes of a message."""

BUSY = (429, 503)
"""Over the API's or the account's request rate, or API Gateway's own trouble: tried again."""

PAUSES = (0.1, 0.3, 0.7, 1.4)
"""Seconds at most between five tries; a random half of each is left out, so that many functions
that were refused at once do not come back at once."""

HANDSHAKE_PAUSE = 0.05
"""Seconds until a connection whose handshake is ending is tried again; each time twice as many."""

UNEXPLAINED = ("forbidden", "missing authentication token")
"""What API Gateway says of a stage or a path that is not there, among other things."""


def encoded(data: str | bytes, bytes_setting: str) -> bytes:
    """A message as UTF-8, base64 for bytes where the setting asks for it.

    API Gateway delivers text of at most `LARGEST` bytes and has no binary messages from a function
    to a client. Raises `ApplicationError` for what it would not deliver.
    """
    if isinstance(data, str):
        text = data.encode("utf-8", "replace")  # half a surrogate pair is no text
    elif not isinstance(data, (bytes, bytearray, memoryview)):
        raise ApplicationError(
            f"A WebSocket message is a {type(data).__name__}: send str or bytes."
        )
    elif bytes_setting == "base64":
        from binascii import b2a_base64

        text = b2a_base64(data, newline=False)
    else:
        raise ApplicationError(
            f"{len(data)} bytes were sent over a WebSocket: API Gateway delivers text only. Send "
            "text, or set ASGI_WEBSOCKET_BYTES=base64 and decode it in the client."
        )
    if len(text) > LARGEST:
        raise ApplicationError(
            f"A WebSocket message of {len(text)} bytes was sent: API Gateway delivers at most "
            f"{LARGEST}. Send it in parts, or send a link to it."
        )
    return text


class ManagementApi:
    """The connections of one API or several; an `endpoint` is the URL of an API's stage.

    `region` signs the requests to endpoints whose host does not name one. Methods raise
    `ClientDisconnected` where the connection is gone, `ConnectionsError` for everything else.
    """

    def __init__(self, client: AwsClient, region: str) -> None:
        self._client = client
        self._region = region

    async def post(
        self, endpoint: str, connection_id: str, data: bytes, *, patience: float = 0.0
    ) -> None:
        """Send a message: a text frame of `data`, which is UTF-8.

        API Gateway answers 410 for a connection whose $connect it has not finished, as it does
        for one that is gone: that is tried again for `patience` seconds.
        """
        reply = await self._ask_patiently(patience, "POST", endpoint, connection_id, data)
        if reply.status == 413:
            raise ConnectionsError(
                f"A message of {len(data):,} bytes is too large: API Gateway's limit is "
                f"{LARGEST:,} bytes. Send it in parts, or send a link to it.",
                413,
            )
        self._check(reply, endpoint, connection_id)

    async def delete(self, endpoint: str, connection_id: str, *, patience: float = 0.0) -> None:
        """Close a connection, with patience as in `post`. One that is gone already is no error."""
        reply = await self._ask_patiently(patience, "DELETE", endpoint, connection_id)
        if reply.status != 410:
            self._check(reply, endpoint, connection_id)

    async def close(self) -> None:
        """Close what the client keeps open."""
        await self._client.close()

    async def _ask_patiently(
        self, patience: float, method: str, endpoint: str, connection_id: str, body: bytes = b""
    ) -> Reply:
        """The reply; a 410 is asked again for `patience` seconds."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + patience, HANDSHAKE_PAUSE
        while True:
            reply = await self._ask(method, endpoint, connection_id, body)
            left = end - loop.time()
            if reply.status != 410 or left <= 0:
                return reply
            await asyncio.sleep(min(pause, left))
            pause *= 2

    async def _ask(
        self, method: str, endpoint: str, connection_id: str, body: bytes = b""
    ) -> Reply:
        """The reply of the first try that does not meet a busy API Gateway, or of the last."""
        url, region = connection_url(endpoint, connection_id), self._region_for(endpoint)
        for pause in (*PAUSES, None):
            try:
                reply = await self._client.request("execute-api", region, method, url, body=body)
            except Unreachable as error:
                raise ConnectionsError(f"API Gateway cannot be reached. {error}") from error
            except WebSocketError as error:  # no credentials
                raise ConnectionsError(str(error)) from error
            if reply.status not in BUSY or pause is None:
                break
            import random  # 2 ms, and most functions are never refused

            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        return reply

    def _region_for(self, endpoint: str) -> str:
        """The region that requests are signed for. Raises `ConnectionsError` without one."""
        region = region_of(endpoint) or self._region
        if not region:
            raise no_region(endpoint)
        return region

    def _check(self, reply: Reply, endpoint: str, connection_id: str) -> None:
        status = reply.status
        if 200 <= status < 300:
            return
        if status == 410:
            raise ClientDisconnected(f"The WebSocket connection {connection_id!r} is closed.")
        if status == 403:
            raise refusal(reply, endpoint, self._region_for(endpoint))
        if status in BUSY:
            raise ConnectionsError(
                f"API Gateway is busy ({status}, {_told(reply)}) after {len(PAUSES) + 1} tries: "
                "raise the stage's throttling or the account's request rate, or send less at once.",
                status,
            )
        raise ConnectionsError(
            f"API Gateway answered {status} ({_told(reply)}) for connection {connection_id!r}: "
            f"check that {endpoint} is the stage of a WebSocket API.",
            status,
        )


def refusal(reply: Reply, endpoint: str, region: str) -> ConnectionsError:
    """The error for a 403, with what to change; `region` is the one that was signed for.

    API Gateway has one status for a lacking permission, a wrong stage, a bad signature and
    credentials that have expired; only its words tell them apart.
    """
    words = _told(reply)
    known_by = f"{reply.headers.get('x-amzn-errortype', '')} {words}".lower()
    if "accessdenied" in known_by or "not authorized" in known_by:
        return ConnectionsError(
            f"API Gateway refuses {endpoint} ({words}): allow the function's role "
            f"execute-api:ManageConnections on {resource_of(endpoint)}.",
            reply.status,
        )
    if words.lower() in UNEXPLAINED:
        return ConnectionsError(
            f"API Gateway refuses {endpoint} ({words}): check that it is the stage of a WebSocket "
            "API, that its default endpoint is not disabled, and that the function's role has "
            f"execute-api:ManageConnections on {resource_of(endpoint)}.",
            reply.status,
        )
    if "expired" in known_by or "not yet current" in known_by:
        return ConnectionsError(
            f"API Gateway refuses the signature for {endpoint} ({words}): the credentials have "
            "expired, or the clock is wrong. Send again; outside of Lambda, set the clock and new "
            "credentials.",
            reply.status,
        )
    return ConnectionsError(
        f"API Gateway refuses {endpoint} ({words}), signed for {region}: check "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION, and that it "
        "is the stage of a WebSocket API.",
        reply.status,
    )


def _told(reply: Reply) -> str:
    """AWS's own words: the "message" of its JSON, which it also spells "Message"."""
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    document = found if isinstance(found, dict) else {}
    text = reply.body[:300].decode("utf-8", "replace") or "without a word"
    return str(document.get("message") or document.get("Message") or text)
