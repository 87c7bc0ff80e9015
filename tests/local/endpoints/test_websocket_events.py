"""The events of a WebSocket API against captured ones, field by field."""

from __future__ import annotations

import base64
import re
import time

import pytest

from lamella.front_doors.door import HttpRequest, Refused
from lamella.local.endpoints.websockets.api import WebSocketApi
from lamella.local.endpoints.websockets.events import (
    Handshake,
    connect_event,
    disconnect_event,
    message_event,
    new_id,
)

AWS_ID = re.compile(r"[A-Za-z0-9_-]{15}=")
CONTEXT = {
    "routeKey": str,
    "eventType": str,
    "extendedRequestId": str,
    "requestTime": str,
    "messageDirection": str,
    "stage": str,
    "connectedAt": int,
    "requestTimeEpoch": int,
    "identity": dict,
    "requestId": str,
    "domainName": str,
    "connectionId": str,
    "apiId": str,
}


def request(path: str = "/prod", query: str = "") -> HttpRequest:
    headers = [
        ("host", "127.0.0.1:3000"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "a=="),
        ("user-agent", "Mozilla"),
        ("cookie", "a=1"),
        ("x-mine", "1"),
        ("x-mine", "2"),
    ]
    return HttpRequest("GET", path, query, headers, port=3000, at=1705751697.419)


def handshake(query: str = "") -> Handshake:
    return Handshake("R1kmxc2VNjMCFIA=", "prod", request(query=query))


def test_ids_are_like_aws_ids() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(AWS_ID.fullmatch(each) for each in ids)
    assert len(base64.urlsafe_b64decode(new_id())) == 11


def test_connect() -> None:
    event = connect_event(handshake("a=1&a=2&b=%20"))
    context = event.pop("requestContext")
    trace = event["headers"].pop("X-Amzn-Trace-Id")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert event["multiValueHeaders"].pop("X-Amzn-Trace-Id") == [trace]
    assert event == {
        "headers": {
            "Host": "127.0.0.1:3000",
            "Sec-WebSocket-Key": "a==",
            "User-Agent": "Mozilla",
            "Cookie": "a=1",
            "x-mine": "2",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Port": "3000",
            "X-Forwarded-Proto": "http",
        },
        "multiValueHeaders": {
            "Host": ["127.0.0.1:3000"],
            "Sec-WebSocket-Key": ["a=="],
            "User-Agent": ["Mozilla"],
            "Cookie": ["a=1"],
            "x-mine": ["1", "2"],
            "X-Forwarded-For": ["127.0.0.1"],
            "X-Forwarded-Port": ["3000"],
            "X-Forwarded-Proto": ["http"],
        },
        "queryStringParameters": {"a": "2", "b": " "},
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": [" "]},
        "isBase64Encoded": False,
    }
    assert {name: type(value) for name, value in context.items()} == CONTEXT
    assert context["requestTime"] == "20/Jan/2024:11:54:57 +0000"
    assert context["connectedAt"] == context["requestTimeEpoch"] == 1705751697419
    assert context["identity"] == {"userAgent": "Mozilla", "sourceIp": "127.0.0.1"}
    assert (context["routeKey"], context["eventType"]) == ("$connect", "CONNECT")


def test_connect_without_a_query_has_no_keys_for_one() -> None:
    event = connect_event(handshake())
    assert sorted(event) == ["headers", "isBase64Encoded", "multiValueHeaders", "requestContext"]


def test_message() -> None:
    before = int(time.time() * 1000)
    event = message_event(handshake(), "send", "{}")
    context = event["requestContext"]
    assert sorted(event) == ["body", "isBase64Encoded", "requestContext"]
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)
    assert {name: type(value) for name, value in context.items()} == {**CONTEXT, "messageId": str}
    assert context["connectedAt"] == 1705751697419
    assert context["requestTimeEpoch"] >= before
    assert (context["routeKey"], context["eventType"]) == ("send", "MESSAGE")
    assert AWS_ID.fullmatch(context["messageId"])


def test_disconnect() -> None:
    event = disconnect_event(handshake(), 1001, "Going away")
    context = event["requestContext"]
    assert event["headers"] == {
        "Host": "127.0.0.1:3000",
        "x-api-key": "",
        "X-Forwarded-For": "",
        "x-restapi": "",
    }
    assert event["multiValueHeaders"] == {k: [v] for k, v in event["headers"].items()}
    assert {name: type(value) for name, value in context.items()} == {
        **CONTEXT,
        "disconnectStatusCode": int,
        "disconnectReason": str,
    }
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1001, "Going away")
    assert (context["routeKey"], context["eventType"]) == ("$disconnect", "DISCONNECT")


@pytest.mark.parametrize("path", ["", "/", "/prod", "/prod/"])
def test_paths_of_the_api(path: str) -> None:
    handshake = request(path)
    assert WebSocketApi().routed(handshake) is handshake


@pytest.mark.parametrize("path", ["/ws", "/production", "/prod/ws", "//prod"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(Refused, match="the path is outside of the stage"):
        WebSocketApi().routed(request(path))


def test_a_header_can_carry_the_path_and_a_client_cannot_say_it() -> None:
    api = WebSocketApi(path_header="X-Mine")
    routed = api.routed(request("/ws/a%20b"))
    assert [value for name, value in routed.headers if name == "x-mine"] == ["/ws/a%20b"]


@pytest.mark.parametrize(
    ("text", "route_key"),
    [
        ('{"action": "send"}', "send"),
        ('{"action": "other"}', "$default"),
        ('{"action": ["send"]}', "$default"),
        ('{"action": "$connect"}', "$default"),
        ('["send"]', "$default"),
        ("send", "$default"),
        ("[" * 100_000, "$default"),
    ],
)
def test_the_route_of_a_message(text: str, route_key: str) -> None:
    assert WebSocketApi(routes=("send",)).route_key(text) == route_key
