"""The chats' templates: routes, table and permissions are what Lamella needs, and no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lamella.settings import TABLE
from lamella.tools.stores import dynamodb
from tests.deploy.projects import ROOT

EXAMPLES = [ROOT / "examples" / "chat", ROOT / "examples" / "chat-channels"]
CHANNELS = EXAMPLES[1]

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags (!Ref and such) as the text behind them."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)


def resources(example: Path, kind: str) -> dict[str, Any]:
    """The properties of the template's resources of one type, by name."""
    template = yaml.load((example / "template.yaml").read_text(), Loader)
    found = template["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == f"AWS::{kind}"}


@each_example
def test_every_event_of_the_api_goes_to_the_function(example: Path) -> None:
    integrations = resources(example, "ApiGatewayV2::Integration")
    routes = [
        route
        for route in resources(example, "ApiGatewayV2::Route").values()
        if route["ApiId"] == "WebSocketApi"
    ]
    assert {route["RouteKey"] for route in routes} == {"$connect", "$default", "$disconnect"}
    for route in routes:
        integration = integrations[re.fullmatch(r"integrations/\${(\w+)}", route["Target"])[1]]  # type: ignore[index]
        assert integration["IntegrationType"] == "AWS_PROXY"
        assert "/functions/${Function.Arn}/invocations" in integration["IntegrationUri"]


@each_example
def test_the_function_may_do_what_it_does_and_nothing_else(example: Path) -> None:
    function = resources(example, "Serverless::Function")["Function"]
    ((policy),) = function["Policies"]
    send, store = policy["Statement"]
    assert send["Action"] == "execute-api:ManageConnections"
    assert send["Resource"].endswith(":${WebSocketApi}/prod/*/@connections/*")
    (needed,) = dynamodb.policy("Connections.Arn")
    assert store == needed


@each_example
def test_the_table_is_what_init_would_make(example: Path) -> None:
    table = resources(example, "DynamoDB::Table")["Connections"]
    assert {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]} == dynamodb.KEYS
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    variables = resources(example, "Serverless::Function")["Function"]["Environment"]["Variables"]
    assert variables["ASGI_WEBSOCKET_STORE"] == "dynamodb://${Connections}"
    known = {row.variable for row in TABLE}
    assert {name for name in variables if name.startswith("ASGI_")} <= known


def test_cloudfront_runs_the_documented_function_on_the_way_to_the_api() -> None:
    page = (ROOT / "docs" / "websockets.md").read_text()
    (documented,) = re.findall(r"^```js\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    function = resources(CHANNELS, "CloudFront::Function")["PathInHeader"]
    assert function["FunctionCode"] == documented
    distribution = resources(CHANNELS, "CloudFront::Distribution")["Distribution"]
    (behaviour,) = distribution["DistributionConfig"]["CacheBehaviors"]
    assert behaviour["FunctionAssociations"][0]["FunctionARN"] == "PathInHeader.FunctionARN"
    origins = {each["Id"]: each for each in distribution["DistributionConfig"]["Origins"]}
    origin = origins[behaviour["TargetOriginId"]]
    assert origin["DomainName"].startswith("${WebSocketApi}.execute-api.")
    (stage,) = (
        each["StageName"]
        for each in resources(CHANNELS, "ApiGatewayV2::Stage").values()
        if each["ApiId"] == "WebSocketApi"
    )
    assert origin["OriginPath"] == f"/{stage}"
