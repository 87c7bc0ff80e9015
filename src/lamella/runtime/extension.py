"""The internal extension whose only use is that Lambda then sends SIGTERM before SIGKILL.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
#runtimes-lifecycle-shutdown and .../runtimes-extensions-api.html.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

from lamella.errors import RuntimeApiError
from lamella.http1 import Reply, ReplyReader, request_head
from lamella.runtime.connection import CONNECT_TIMEOUT, READ_SIZE

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
    host, _, port = address.rpartition(":")
    connection = None
    try:
        # The host as bytes: for text, Python imports its codec of international names.
        place: Any = (host.encode(), int(port))
        connection = socket.create_connection(place, timeout=CONNECT_TIMEOUT)
        connection.settimeout(None)
        connection.sendall(_register_request(address))
        reply, reader = None, ReplyReader()
        while reply is None:
            data = connection.recv(READ_SIZE)
            if not data:
                raise RuntimeApiError("The connection to the Runtime API was closed.")
            reply = reader.feed(data)
        connection.sendall(_event_request(address, reply))
    except (OSError, ValueError, OverflowError, RuntimeApiError) as error:
        logger.warning("No lifespan shutdown: the extension was not registered: %s", error)
        if connection is not None:
            connection.close()
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
