"""The internal extension whose only use is that Lambda then sends SIGTERM before SIGKILL.

Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
#runtimes-lifecycle-shutdown and .../runtimes-extensions-api.html.
"""

from __future__ import annotations

import logging
import socket

from lamella.errors import RuntimeApiError
from lamella.http1 import Reply, ReplyReader, request_head
from lamella.runtime.connection import CONNECT_TIMEOUT, READ_SIZE, Connection, connect

logger = logging.getLogger("lamella")

API = "/2020-01-01/extension"
NAME = "lamella"
UNREGISTERED = "No lifespan shutdown: the extension was not registered: %s"


def blocking_register(address: str) -> socket.socket | None:
    """The same without an event loop, for a parent of worker processes; the open connection."""
    host, _, port = address.rpartition(":")
    try:
        connection = socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT)
        connection.settimeout(None)
        connection.sendall(_register_request(address))
        reply = None
        reader = ReplyReader()
        while reply is None and (data := connection.recv(READ_SIZE)):
            reply = reader.feed(data)
    except (OSError, ValueError, RuntimeApiError) as error:
        logger.warning(UNREGISTERED, error)
        return None
    if reply is None or reply.status != 200:
        logger.warning(UNREGISTERED, reply)
        return None
    connection.sendall(_event_request(address, reply))
    return connection


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
        logger.warning(UNREGISTERED, error)
        return None
    # No event ever comes; the connection closes when the environment ends.
    connection.request(_event_request(address, reply), lambda _: None)
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
    identifier = reply.headers.get("lambda-extension-identifier", "")
    headers = {"Host": address, "Lambda-Extension-Identifier": identifier}
    return request_head("GET", f"{API}/event/next", headers)
