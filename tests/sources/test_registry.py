"""Which source an event came from: by cheap tests, for any JSON value, without ever raising."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from lamella.sources import registry
from tests.sources import builders


def test_each_source_of_http_has_a_sample_event() -> None:
    rows = {row.name for row in registry.SOURCES if row.family is registry.Family.HTTP}
    assert rows == builders.HTTP_EVENTS.keys()


@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
def test_each_source_claims_its_own_event(name: str) -> None:
    assert registry.find(builders.HTTP_EVENTS[name]()).name == name


@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
def test_one_source_only_would_claim_each_event(name: str) -> None:
    event = builders.HTTP_EVENTS[name]()
    claiming = {source.name for source in registry.SOURCES if source.claims(event)}
    # A Function URL's event is a payload 2.0, an HTTP API's 1.0 has the marks of a REST API:
    # the table's order decides between these.
    assert claiming - {"http", "rest"} <= {name}
    assert name in claiming


@pytest.mark.parametrize("kind", ["CONNECT", "MESSAGE", "DISCONNECT"])
@pytest.mark.parametrize("more", [{}, {"httpMethod": "GET", "resource": "/"}])
def test_D12_a_websocket_is_never_taken_for_a_request(kind: str, more: dict[str, str]) -> None:
    """With the fields of a REST API's event, too."""
    context = {**WEBSOCKET["requestContext"], "eventType": kind}
    assert registry.find({**WEBSOCKET, "requestContext": context, **more}).name == "websocket"


SQS = {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "x"}]}
WEBSOCKET: dict[str, Any] = {
    "headers": {"Host": builders.API},
    "multiValueHeaders": {"Host": [builders.API]},
    "requestContext": {
        "routeKey": "$connect",
        "eventType": "CONNECT",
        "connectionId": "R1kmxc2VNjMCFIA=",
        "domainName": builders.API,
        "apiId": "abc123",
        "stage": "prod",
    },
    "isBase64Encoded": False,
}
EDGE_RESPONSE = {"Records": [{"cf": {"request": {"uri": "/"}, "response": {"status": "200"}}}]}

NOT_HTTP: dict[str, Any] = {
    "null": None,
    "number": 1.5,
    "string": "hello",
    "true": True,
    "list": [1, 2],
    "list-of-events": [builders.url_event()],
    "empty-object": {},
    "context-null": {"httpMethod": "GET", "requestContext": None},
    "context-string": {"httpMethod": "GET", "requestContext": "elb http serviceArn"},
    "context-list": {"version": "2.0", "requestContext": ["http"]},
    "http-string": {"version": "2.0", "requestContext": {"http": "GET /"}},
    "records-string": {"Records": "cf"},
    "records-empty": {"Records": []},
    "records-of-strings": {"Records": ["cf"]},
    "record-cf-null": {"Records": [{"cf": None}]},
    "D11-sqs": SQS,
    "eventbridge": {"version": "0", "source": "aws.events", "detail": {}},
    "authorizer-of-websocket": {**WEBSOCKET, "type": "REQUEST", "methodArn": "arn:1"},
    "websocket-of-another-kind": {
        "requestContext": {**WEBSOCKET["requestContext"], "eventType": "PING"},
    },
    "authorizer-token": {"type": "TOKEN", "methodArn": "arn:aws:execute-api:1/*/GET/"},
    "authorizer-request": builders.rest_event(type="REQUEST", methodArn="arn:1"),
    "authorizer-request-of-http-api": builders.http_v1_event(type="REQUEST", methodArn="arn:1"),
    "E19-authorizer-of-http-api-2.0": builders.http_event(type="REQUEST", routeArn="arn:1"),
    "bedrock-agent": {
        "messageVersion": "1.0",
        "actionGroup": "group",
        "apiPath": "/claims",
        "httpMethod": "GET",
    },
    "edge-response-event": EDGE_RESPONSE,
}


@pytest.mark.parametrize("event", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_everything_else_is_passed_through(event: Any) -> None:
    assert registry.find(event).name == "events"


def test_a_function_url_is_told_from_an_http_api_by_its_domain() -> None:
    event = builders.url_event()
    event["requestContext"]["domainName"] = "api.example.com"
    assert registry.find(event).name == "http"


def test_D25_a_codec_is_imported_when_it_is_first_asked_for() -> None:
    program = (
        "import sys\n"
        "from lamella.sources import registry\n"
        "loaded = lambda: {n for n in sys.modules if n.startswith('lamella.sources.')}\n"
        "assert loaded() == {'lamella.sources.registry'}, loaded()\n"
        "registry.load(registry.SOURCES[0])\n"
        "assert 'lamella.sources.function_url' in loaded()\n"
        "assert 'lamella.sources.alb' not in loaded()\n"
        "assert 'urllib.parse' not in sys.modules and 'http' not in sys.modules\n"
    )
    run = [sys.executable, "-S", "-c", program]
    subprocess.run(run, check=True, env={"PYTHONPATH": ":".join(p for p in sys.path if p)})


@pytest.mark.parametrize(
    "source", [*registry.SOURCES, registry.PASS_THROUGH], ids=lambda source: source.name
)
def test_each_row_leads_to_a_codec(source: registry.Source) -> None:
    codec = registry.load(source)
    assert callable(codec.decode)
    assert callable(codec.encode)
    assert hasattr(codec, "prelude") == (source.name in ("url", "rest"))
