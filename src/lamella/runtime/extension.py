"""The internal extension whose only use is that Lambda then sends SIGTERM before SIGKILL.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
#runtimes-lifecycle-shutdown and .../runtimes-extensions-api.html.
"""

from __future__ import annotations

import logging
import socket

from lamella.errors import RuntimeApiError
from lamella.http1 import Reply, request_head
from lamella.runtime.connection import exchange

logger = logging.getLogger("lamella")

API = "/2020-01-01/extension"
NAME = "lamella"


def register(address: str) -> socket.socket | None:
    """Register before the first /next, and wait for events that never come.

    Init is complete only when every extension has asked for its next event, so the connection
    that is returned has to stay open. None where Lambda refuses: the environment then works, and
    ends without lifespan shutdown.

    It blocks, because a parent of worker processes and a process that still imports have no event
    loop for it. Lambda answers at once.
    """
    try:
        connection, reply = exchange(address, _register_request(address))
        try:
            connection.sendall(_event_request(address, reply))
        except BaseException:
            connection.close()
            raise
    except (OSError, RuntimeApiError) as error:
        logger.warning("No lifespan shutdown: the extension was not registered: %s", error)
        return None
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


def _event_request(address: str, reply: Reply) -> bytes:
    """What follows the reply to the registration. Raises `RuntimeApiError` for a refusal."""
    if reply.status != 200:
        raise RuntimeApiError(f"{reply.status} {reply.body[:300].decode('utf-8', 'replace')}")
    identifier = reply.headers.get("lambda-extension-identifier", "")
    headers = {"Host": address, "Lambda-Extension-Identifier": identifier}
    return request_head("GET", f"{API}/event/next", headers)
