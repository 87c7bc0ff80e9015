"""One HTTP request for each invocation, from where this function runs: VPC Lattice's client.

The event has `method`, `scheme`, `host`, `target`, `headers` (pairs) and `body` (base64). The
result has `status`, `headers` and `body`: base64 of zlib, because an invocation's result has 6 MB
and so may have the body. A connection that breaks is the invocation's failure.
"""

import asyncio
import base64
import json
import zlib
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection

PATIENCE = 110
"""Seconds, below the function's own limit."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    message = await receive()
    result = json.dumps(await asyncio.to_thread(exchange, json.loads(message["body"])))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": result.encode()})


def exchange(event):
    connect = HTTPSConnection if event["scheme"] == "https" else HTTPConnection
    with closing(connect(event["host"], timeout=PATIENCE)) as connection:
        connection.putrequest(
            event["method"], event["target"], skip_host=True, skip_accept_encoding=True
        )
        for name, value in event["headers"]:
            connection.putheader(name, value)
        connection.endheaders(base64.b64decode(event["body"]))
        response = connection.getresponse()
        body = response.read()
        return {
            "status": response.status,
            "headers": response.getheaders(),
            "body": base64.b64encode(zlib.compress(body)).decode(),
        }
