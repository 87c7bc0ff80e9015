"""The event builders: each source's events hold the request that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import lamella
from lamella.sources import registry
from lamella.testing import LambdaContext, events
from lamella.types import Event, Receive, Request, Scope, Send

Builder = Callable[..., Event]

BUILDERS: dict[str, Builder] = {
    "url": events.function_url,
    "http": events.http_api,
    "http-v1": events.http_api_v1,
    "rest": events.rest_api,
    "alb": events.alb,
    "lattice": events.lattice,
    "lattice-v1": events.lattice_v1,
    "edge": events.edge_request,
}


def decoded(event: Event) -> Request:
    return registry.load(registry.find(event)).decode(event)


every_source = pytest.mark.parametrize(("name", "build"), BUILDERS.items(), ids=BUILDERS)


@every_source
def test_an_event_is_recognised_as_its_source_s(name: str, build: Builder) -> None:
    assert registry.find(build()).name == name
    json.dumps(build())


def test_a_websockets_events_are_recognised_and_of_one_connection() -> None:
    connect = events.websocket_connect(
        query={"room": "a b"}, headers={"sec-websocket-protocol": "wamp"}, authorizer={"who": "me"}
    )
    message = events.websocket_message("hello", route_key="chat")
    disconnect = events.websocket_disconnect(code=1000, reason="")
    kinds = {"CONNECT": connect, "MESSAGE": message, "DISCONNECT": disconnect}
    for kind, event in kinds.items():
        assert registry.find(event).name == "websocket"
        json.dumps(event)
        assert event["requestContext"]["eventType"] == kind
        assert event["requestContext"]["connectionId"] == events.CONNECTION_ID
    assert connect["queryStringParameters"] == {"room": "a b"}
    assert connect["multiValueHeaders"]["Sec-WebSocket-Protocol"] == ["wamp"]
    assert connect["requestContext"]["authorizer"] == {"who": "me"}
    assert (message["body"], message["requestContext"]["routeKey"]) == ("hello", "chat")
    assert disconnect["requestContext"]["disconnectStatusCode"] == 1000


@every_source
def test_every_source_brings_the_same_request(name: str, build: Builder) -> None:
    request = decoded(
        build(
            method="POST",
            path="/a%20b",
            query="x=1&y=2",
            headers={"X-Color": "red", "cookie": "s=1; t=2"},
            json={"name": "λ"},
        )
    )
    assert request.method == "POST"
    assert request.path.removeprefix(request.root_path) == "/a b"
    assert request.query_string == b"x=1&y=2"
    assert json.loads(request.body) == {"name": "λ"}
    headers = dict(request.headers)
    assert headers[b"x-color"] == b"red"
    assert headers[b"cookie"] == b"s=1; t=2"
    assert headers[b"content-type"] == b"application/json"
    assert request.scheme == "https"
    assert request.client == (("203.0.113.7", 0) if request.client else None)


@every_source
def test_bytes_arrive_as_they_were(name: str, build: Builder) -> None:
    data = bytes(range(256))
    assert decoded(build(method="PUT", body=data)).body == data


def test_a_query_can_be_in_the_path_or_be_given_as_names_and_values() -> None:
    event = events.function_url(path="/?a=1", query={"b": "x y"})
    assert event["rawQueryString"] == "a=1&b=x+y"
    assert events.http_api(query=[("a", "1"), ("a", "2")])["rawQueryString"] == "a=1&a=2"


def test_a_header_given_twice_keeps_both_values() -> None:
    event = events.alb(multi_value=True, headers=[("X-A", "1"), ("X-A", "2")])
    assert event["multiValueHeaders"]["x-a"] == ["1", "2"]
    assert "headers" not in event


def test_the_stage_is_where_each_api_has_it() -> None:
    rest = events.rest_api(path="/x", stage="live")
    assert (rest["path"], rest["requestContext"]["path"]) == ("/x", "/live/x")
    assert events.rest_api(path="/x", base="/v1")["path"] == "/v1/x"
    assert events.http_api(path="/x", stage="live")["rawPath"] == "/live/x"
    assert events.http_api_v1(path="/x", stage="live")["path"] == "/live/x"


def test_only_types_that_are_text_come_as_text() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert events.http_api_v1(body="a=1", headers=form)["isBase64Encoded"] is True
    assert events.http_api_v1(json={})["body"] == "{}"
    assert events.rest_api(body="a=1", binary_media_types=())["body"] == "a=1"


def test_cloudfront_cuts_a_large_body_off() -> None:
    request = events.edge_request(body=b"x" * 50_000)["Records"][0]["cf"]["request"]
    assert request["body"]["inputTruncated"] is True
    origin = events.edge_request(body=b"x" * 50_000, event_type="origin-request")
    assert len(decoded(origin).body) == 50_000


def test_an_unknown_argument_is_a_TypeError_that_names_it() -> None:
    with pytest.raises(TypeError, match="pth"):
        events.function_url(pth="/")  # type: ignore[call-arg]  # what the test is about


@pytest.mark.parametrize(
    ("event", "mark"),
    [
        (events.sqs(bodies=["one", "two"]), "aws:sqs"),
        (events.sns(message="hello"), "aws:sns"),
        (events.event_bridge(detail={"id": 1}, detail_type="Made", source="shop"), "shop"),
    ],
    ids=["sqs", "sns", "event_bridge"],
)
def test_other_events_are_posted_to_the_application(event: Event, mark: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    handler = lamella.Adapter(app, lifespan="off")
    result: Any = handler(event, LambdaContext())
    handler.close()
    assert result == event
    assert mark in json.dumps(result)


def test_a_context_counts_down_and_is_renewed_for_each_invocation() -> None:
    context = LambdaContext(timeout=10, tenant_id="blue", function_name="shop")
    assert 9_000 < context.get_remaining_time_in_millis() <= 10_000
    assert context.invoked_function_arn.endswith(":function:shop")
    assert LambdaContext(timeout=0).get_remaining_time_in_millis() == 0
    following = context.renewed()
    assert following.tenant_id == "blue"
    assert following.aws_request_id != context.aws_request_id
