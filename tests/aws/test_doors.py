"""What the template says, and what the command makes of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.aws import cost, doors, stack

TEXT = stack.TEMPLATE.read_text()


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags as what is behind them."""


def _plain(loader: Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    assert isinstance(node, yaml.SequenceNode)
    return loader.construct_sequence(node, deep=True)


Loader.add_multi_constructor("!", _plain)
TEMPLATE = yaml.load(TEXT, Loader)
FUNCTIONS = {
    name: each["Properties"]
    for name, each in TEMPLATE["Resources"].items()
    if each["Type"] == "AWS::Serverless::Function"
}


def test_every_door_is_in_the_template() -> None:
    for name, (function, _) in doors.DOORS.items():
        assert function in FUNCTIONS, name
        assert f"{function}Address" in TEMPLATE["Outputs"], name
    assert doors.CLIENT in FUNCTIONS
    assert set(doors.ALIASES) <= set(FUNCTIONS)


def test_every_runtime_runs_on_both_processors() -> None:
    common = TEMPLATE["Globals"]["Function"]
    tried = set()
    for name, (function, _) in doors.DOORS.items():
        properties = common | FUNCTIONS[function]
        (processor,) = properties["Architectures"]
        tried.add((properties["Runtime"], processor))
        if name.startswith("Python "):
            said = name.removeprefix("Python ").split(", ")
            assert said == [properties["Runtime"].removeprefix("python"), processor]
    expected = {
        (f"python3.{minor}", processor)
        for minor in range(11, 16)
        for processor in ("arm64", "x86_64")
    }
    assert tried == expected


def test_streams_are_where_the_targets_say_so() -> None:
    for name, (function, promises) in doors.DOORS.items():
        variables = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
        streamed = variables.get("ASGI_INVOKE_MODE") == "response_stream"
        assert streamed is promises.get("streams", name != "WebSocket API"), name


def test_nothing_outlives_the_stack() -> None:
    """No role makes a log group, and nothing is retained."""
    assert "logs:CreateLogGroup" not in TEXT
    assert "AWSLambdaBasicExecutionRole" not in TEXT
    assert not re.search(r"(DeletionPolicy|RetentionPolicy): Retain", TEXT)
    assert "LogGroup" in TEMPLATE["Globals"]["Function"]["LoggingConfig"]
    for name, properties in FUNCTIONS.items():
        assert "Role" in properties, f"SAM would give {name} a role that may make log groups"


def test_a_durable_function_is_reached_by_an_alias() -> None:
    """AWS refuses anything else: https://github.com/serverless/serverless/pull/13589."""
    durable = [each for each in FUNCTIONS.values() if "DurableConfig" in each]
    assert durable
    assert all("AutoPublishAlias" in each for each in durable)


def test_cloudformation_takes_the_template_without_a_bucket() -> None:
    """51,200 bytes: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
    assert len(TEXT.encode()) < 51_200


def test_lattice_is_asked_from_inside() -> None:
    asked: list[str] = []
    outputs = {"LatticeAddress": "https://x.vpc-lattice-svcs.eu-west-1.on.aws/"}
    functions = {"Lattice": "l", "LatticeClient": "c"}
    (target,) = doors.targets(outputs, functions, asked.append).values()
    assert target.url == "https://x.vpc-lattice-svcs.eu-west-1.on.aws"
    assert target.transport is not None
    assert set(asked) == {"lambda"}


def test_a_websocket_api_is_a_target_without_http() -> None:
    outputs = {"WebSocketAddress": "wss://x.execute-api.eu-west-1.amazonaws.com/prod"}
    (target,) = doors.targets(outputs, {}, pytest.fail).values()
    assert (target.url, target.websocket) == ("", outputs["WebSocketAddress"])


def test_the_estimate_counts_hours_that_begin() -> None:
    hourly = sum(each.dollars * each.units for each in cost.PRICES if each.hourly)
    assert 0.05 < hourly < cost.estimate(0.1) < 1
    assert cost.estimate(0.1) == cost.estimate(1)
    assert cost.estimate(1.1) == pytest.approx(cost.estimate(1) + hourly)


def test_every_price_has_a_source_and_a_date() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", cost.LOOKED_UP)
    for each in cost.PRICES:
        assert each.source.startswith("https://"), each.what
        assert each.dollars > 0
    said = cost.said()
    assert f"about {cost.estimate(1):.2f} US dollars for an hour" in said
    assert cost.LOOKED_UP in said
