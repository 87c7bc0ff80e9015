"""The internal extension whose only use is that Lambda then sends SIGTERM before SIGKILL.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
#runtimes-lifecycle-shutdown and .../runtimes-extensions-api.html.
"""

from __future__ import annotations

import logging

from lamina.errors import RuntimeApiError
from lamina.runtime.connection import Answer, Connection, connect
from lamina.runtime.http1 import Reply, request_head

logger = logging.getLogger("lamina")

API = "/2020-01-01/extension"
NAME = "lamina"


async def register(address: str) -> Connection | None:
    """Register before the first /next, and wait for events that never come.

    Init is complete only when every extension has asked for its next event, so the connection
    that is returned has to stay open. None where Lambda refuses: the environment then works, and
    ends without lifespan shutdown.
    """
    try:
        connection = await connect(address)
        reply = await connection.ask(_register_request(address))
        if reply.status != 200:
            raise RuntimeApiError(f"{reply.status} {reply.body[:300].decode('utf-8', 'replace')}")
    except RuntimeApiError as error:
        logger.warning("No lifespan shutdown: the extension was not registered: %s", error)
        return None
    headers = {"Host": address, "Lambda-Extension-Identifier": _identifier(reply)}
    connection.request(request_head("GET", f"{API}/event/next", headers), _ignore)
    return connection


def _register_request(address: str) -> bytes:
    body = b'{"events":[]}'
    headers = {
        "Host": address,
        "Lambda-Extension-Name": NAME,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    return request_head("POST", f"{API}/register", headers) + body


def _ignore(reply: Answer) -> None:
    """No event ever comes; the connection closes when the environment ends."""


def _identifier(reply: Reply) -> str:
    return reply.headers.get("lambda-extension-identifier", "")
