"""What a function that serves HTTP only pays for WebSockets: nothing."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import asyncio, json, sys
import lamella.runtime.main, lamella.runtime.loop, lamella.runtime.environment
from lamella import Adapter

async def app(scope, receive, send):
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

handler = Adapter(app, lifespan="off", websocket_store="memory:")
before = set(sys.modules)
handler({
    "version": "2.0", "rawPath": "/", "rawQueryString": "", "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/"}, "stage": "$default"},
}, None)
of_http = set(sys.modules)
handler({
    "headers": {}, "isBase64Encoded": False,
    "requestContext": {"eventType": "CONNECT", "routeKey": "$connect", "connectionId": "a=",
        "domainName": "x.execute-api.eu-west-1.amazonaws.com", "stage": "prod", "apiId": "x"},
}, None)
print(json.dumps([sorted(of_http), sorted(set(sys.modules) - of_http)]))
"""

HEAVY = {"boto3", "botocore", "http.client", "urllib.request", "email", "redis", "asyncpg"}


def test_nothing_of_it_is_imported_before_a_websockets_event() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    of_http, of_websocket = json.loads(done.stdout)
    assert not [name for name in of_http if "websocket" in name]
    assert "lamella.warmup" not in of_http
    assert not {"hmac", "sqlite3", "http.client"} & set(of_http)
    assert "lamella.websocket.run" in of_websocket
    assert not HEAVY & set(of_websocket)
