"""The events of a WebSocket API: pure functions of a handshake and of what happened after it.

Shapes: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
and captured events of all three kinds (aws-lambda-go, aws_lambda_events).
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any, NamedTuple

from lamella.front_doors.door import API_ID, REGION, HttpRequest
from lamella.front_doors.requests import clock_at, decoded_query, listed, with_forwarded

DOMAIN = f"{API_ID}.execute-api.{REGION}.amazonaws.com"


class Handshake(NamedTuple):
    """What every event of a connection goes back to; `request.at` is when it connected."""

    connection_id: str
    stage: str
    request: HttpRequest


def new_id() -> str:
    """An id as AWS makes them for connections, messages and requests: R1kmxc2VNjMCFIA=."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode("ascii")


def identity(request: HttpRequest) -> dict[str, str]:
    """Who the client is; without userAgent where it sent none."""
    agent = request.header("user-agent")
    return {**({"userAgent": agent} if agent else {}), "sourceIp": request.client_ip}


def connect_event(handshake: Handshake) -> dict[str, Any]:
    """$connect: the only event with the client's headers and query. It has no path."""

    def cased(name: str) -> str:
        # A handshake is HTTP/1.1, and names arrive on AWS as clients write them, which is this
        # way; the web server here has them in lower case.
        if name.startswith("x-") and not name.startswith(("x-forwarded-", "x-amzn-")):
            return name
        words = "-".join(word.capitalize() for word in name.split("-"))
        return words.replace("Websocket", "WebSocket")

    headers = listed((cased(name), value) for name, value in with_forwarded(handshake.request))
    event: dict[str, Any] = {
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
    }
    if query := listed(decoded_query(handshake.request.query)):
        event["queryStringParameters"] = {name: values[-1] for name, values in query.items()}
        event["multiValueQueryStringParameters"] = query
    at = handshake.request.at
    event["requestContext"] = _context(handshake, "$connect", "CONNECT", at)
    return {**event, "isBase64Encoded": False}


def message_event(handshake: Handshake, route_key: str, text: str) -> dict[str, Any]:
    """A message, sent now."""
    context = _context(handshake, route_key, "MESSAGE", time.time(), messageId=new_id())
    return {"requestContext": context, "body": text, "isBase64Encoded": False}


def disconnect_event(handshake: Handshake, code: int, reason: str) -> dict[str, Any]:
    """$disconnect, now. Its headers are few, and mostly empty."""
    host = handshake.request.header("host") or DOMAIN
    headers = {"Host": host, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    ending = {"disconnectStatusCode": code, "disconnectReason": reason}
    return {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": _context(handshake, "$disconnect", "DISCONNECT", time.time(), **ending),
        "isBase64Encoded": False,
    }


def _context(
    handshake: Handshake, route_key: str, event_type: str, at: float, **more: Any
) -> dict[str, Any]:
    request_id = new_id()
    return {
        "routeKey": route_key,
        **more,
        "eventType": event_type,
        "extendedRequestId": request_id,
        "requestTime": clock_at(at),
        "messageDirection": "IN",
        "stage": handshake.stage,
        "connectedAt": int(handshake.request.at * 1000),
        "requestTimeEpoch": int(at * 1000),
        "identity": identity(handshake.request),
        "requestId": request_id,
        "domainName": DOMAIN,
        "connectionId": handshake.connection_id,
        "apiId": API_ID,
    }
