"""The lines that `lamella layer publish --format ...` prints are right for their tool."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable
from typing import Any

import hcl2
import pytest
import yaml

from lamella.tools.layer.publishing.templates import FORMATS
from tests.publish.conftest import Ran
from tests.publish.test_publish import arn

ONE = {"eu-west-1": "arn:1"}
TWO = {"eu-west-1": "arn:1", "us-east-1": "arn:2"}
NAME = "/lamella/layer-arn"


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions: a tag is the key of its value."""


def function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value = (
        loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_scalar(node)  # type: ignore[arg-type]  # there are no mappings
    )
    return {tag: value}


yaml.add_multi_constructor("!", function, Loader)


@pytest.mark.parametrize(
    ("arns", "parameter", "expected"),
    [
        (ONE, None, {"Layers": ["arn:1"]}),
        (TWO, NAME, {"Layers": ["{{resolve:ssm:/lamella/layer-arn}}"]}),
        (
            TWO,
            None,
            {
                "Mappings": {"LamellaLayer": {name: {"Arn": TWO[name]} for name in TWO}},
                "Layers": [{"FindInMap": ["LamellaLayer", {"Ref": "AWS::Region"}, "Arn"]}],
            },
        ),
    ],
)
def test_sam(arns: dict[str, str], parameter: str | None, expected: Any) -> None:
    assert yaml.load(FORMATS["sam"](arns, parameter), Loader) == expected


@pytest.mark.parametrize(
    ("arns", "parameter", "expected"),
    [
        (ONE, None, {"layers": ["arn:1"]}),
        (TWO, NAME, {"layers": ["${ssm:/lamella/layer-arn}"]}),
        (
            TWO,
            None,
            {
                "custom": {"lamellaLayer": TWO},
                "layers": ["${self:custom.lamellaLayer.${aws:region}}"],
            },
        ),
    ],
)
def test_serverless(arns: dict[str, str], parameter: str | None, expected: Any) -> None:
    assert yaml.safe_load(FORMATS["serverless"](arns, parameter)) == expected


@pytest.mark.parametrize(
    ("arns", "parameter", "layers"),
    [
        (ONE, None, "arn:1"),
        (TWO, NAME, "data.aws_ssm_parameter.lamella_layer.insecure_value"),
        (TWO, None, "local.lamella_layer[data.aws_region.current.id]"),
    ],
)
def test_terraform(arns: dict[str, str], parameter: str | None, layers: str) -> None:
    text = FORMATS["terraform"](arns, parameter)
    (found,) = hcl2.load(io.StringIO(text + "\n"))["layers"]
    assert found.strip('${}"') == layers
    assert all(each in text for each in ([NAME] if parameter else arns.values()))


@pytest.mark.parametrize(
    ("arns", "parameter", "arn"),
    [
        (ONE, None, "'arn:1'"),
        (TWO, None, f"{TWO}[self.region]"),
        (TWO, NAME, f"aws_ssm.StringParameter.value_for_string_parameter(self, '{NAME}')"),
    ],
)
def test_cdk(arns: dict[str, str], parameter: str | None, arn: str) -> None:
    (statement,) = ast.parse(FORMATS["cdk"](arns, parameter)).body
    make = "aws_lambda.LayerVersion.from_layer_version_arn"
    assert ast.unparse(statement) == f"layer = {make}(self, 'Lamella', {arn})"


def test_the_command_prints_them(run: Callable[..., Ran]) -> None:
    output = run("eu-west-1", "--yes", "--format", "sam").output
    assert yaml.safe_load(output) == {"Layers": [arn("eu-west-1", 1)]}
