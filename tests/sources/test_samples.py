"""Every sample event through `lamella.Adapter`: a 200, or POST /events, and never a crash."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

import lamella
from lamella.sources import registry
from lamella.types import Receive, Scope, Send
from tests.sources import samples

CONTEXT = SimpleNamespace(aws_request_id="r-1", get_remaining_time_in_millis=lambda: 30_000)

NOT_BASE64 = (
    "powertools__apiGatewayProxyEventAnotherPath.json",
    "powertools__apiGatewayProxyEventPathTrailingSlash.json",
    "powertools__apiGatewayProxyEvent_noVersionAuth.json",
)
"""The documented exception: made up by hand, they flag the body "Hello from Lambda!" as base64."""


def expected_source(name: str) -> str:
    """The source that a sample's file name tells."""
    stem = name.removesuffix(".json")
    marks = {
        "http-v1": (
            "powertools__apiGatewayProxyEvent",
            "powertools__apiGatewayProxyEventAnotherPath",
            "powertools__apiGatewayProxyEventNoOrigin",
            "powertools__apiGatewayProxyEventPathTrailingSlash",
            "powertools__apiGatewayProxyOtherEvent",
        ),
        "lattice-v1": (
            "powertools__vpcLatticeEvent",
            "powertools__vpcLatticeEventPathTrailingSlash",
        ),
    }
    for source, stems in marks.items():
        if stem in stems:
            return source
    patterns = (
        ("events", ("uthorizerRequest", "uthorizerToken", "AuthorizerV2", "custom-authorizer")),
        ("websocket", ("websocket",)),
        ("events", ("bedrock",)),
        ("lattice", ("vpcLattice",)),
        ("url", ("function-url", "functionurl", "lambda-urls", "FunctionUrl", "function_url")),
        ("http", ("apigw-v2", "apigw_v2", "apigwv2", "ProxyV2", "HttpApi", "path_with_space")),
        ("rest", ("apigw", "apiGateway", "AwsProxy")),
        ("alb", ("alb",)),
        ("edge", ("cloudfront",)),
    )
    for source, parts in patterns:
        if any(part in stem for part in parts):
            return source
    return "events"


class Witness:
    """Answers 200 with the request's body, and keeps the scope."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})


def served(event: Any, **settings: Any) -> tuple[Any, list[Scope]]:
    """The result of one event, and the scopes that the application saw."""
    app = Witness()
    handler = lamella.Adapter(app, lifespan="off", **settings)
    try:
        return handler(event, CONTEXT), app.scopes
    finally:
        handler.close()


def status_of(result: Any) -> int:
    return int(result["status"] if "status" in result else result["statusCode"])


@samples.needed
@pytest.mark.parametrize("name", [name for name in samples.NAMES if "websocket" in name])
def test_each_websocket_sample_finds_its_place(name: str) -> None:
    """How they are served is shown in tests/websocket/test_samples.py."""
    assert registry.find(samples.load(name)).name == expected_source(name)


REQUESTS = [name for name in samples.NAMES if name not in NOT_BASE64 and "websocket" not in name]


@samples.needed
@pytest.mark.parametrize("name", REQUESTS)
def test_each_sample_event_finds_its_place(name: str) -> None:
    event = samples.load(name)
    assert registry.find(event).name == expected_source(name)
    result, (scope,) = served(event)
    assert scope["aws.event"] is event
    if expected_source(name) == "events":
        assert (scope["method"], scope["path"]) == ("POST", "/events")
        assert result == json.loads(json.dumps(event)), "the echoed JSON is the result"
    else:
        assert status_of(result) == 200
        assert scope["path"].startswith(scope["root_path"] + "/")
        assert isinstance(scope["raw_path"], bytes)


@samples.needed
@pytest.mark.parametrize("name", NOT_BASE64)
def test_the_three_samples_that_flag_plain_text_as_base64_are_bad_requests(name: str) -> None:
    event = samples.load(name)
    result, scopes = served(event)
    assert (result["statusCode"], scopes) == (400, [])
    result, scopes = served(event | {"isBase64Encoded": False})
    assert (result["statusCode"], len(scopes)) == (200, 1)
