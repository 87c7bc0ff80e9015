"""The template as AWS's tools see it: `make sam` installs them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from moto.cloudformation.parsing import NULL_MODELS, get_model_map

from tests.aws import doors, stack
from tests.aws.conftest import REGION, Client
from tests.deploy.projects import ROOT, run

LINT = shutil.which("cfn-lint", path=f"{ROOT}/.venv-sam/bin:{os.environ.get('PATH', '')}")

pytestmark = [
    pytest.mark.skipif(LINT is None, reason="SAM CLI is not installed: make sam"),
    pytest.mark.timeout(600),
]

# What CloudFormation's transform does: the translator is the same, and needs no network.
TRANSLATE = """
import json, logging, sys
import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
logging.disable()  # it warns of its own features
template = yaml_parse(open(sys.argv[1]).read())
values = {"Bucket": sys.argv[2], "Preview": "true"}
session = boto3.Session(region_name=sys.argv[3])
translator = Translator({}, Parser(), boto_session=session)
print(json.dumps(translator.translate(template, values)))
"""

BY_THEIR_BODY = {"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"}
"""What SAM describes with an OpenAPI document only; moto wants more."""

NAME = stack.new_name()
"""Of the stack and its bucket, which the translation writes into the functions."""

REFERENCE = re.compile(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)|\$\{(\w+)')


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    """The template without SAM."""
    python = Path(str(LINT)).with_name("python")
    said = run(python, "-W", "ignore", "-c", TRANSLATE, stack.TEMPLATE, NAME, REGION, cwd=ROOT)
    template: dict[str, Any] = json.loads(said)
    return template


def test_cfn_lint_has_nothing_to_say() -> None:
    assert run(LINT, "--regions", REGION, "--template", stack.TEMPLATE, cwd=ROOT) == ""


def test_sam_takes_it() -> None:
    sam = Path(str(LINT)).with_name("sam")
    options = ("--lint", "--region", REGION, "--template", stack.TEMPLATE)
    assert "is a valid SAM Template" in run(sam, "validate", *options, cwd=ROOT)


def test_every_open_url_has_both_permissions(translated: dict[str, Any]) -> None:
    resources = translated["Resources"].values()
    urls = [each["Properties"] for each in resources if each["Type"] == "AWS::Lambda::Url"]
    assert len(urls) > 10
    allowed = {
        (json.dumps(each["Properties"]["FunctionName"]), each["Properties"]["Action"])
        for each in resources
        if each["Type"] == "AWS::Lambda::Permission"
    }
    for url in urls:
        function = json.dumps(url["TargetFunctionArn"])
        if url["AuthType"] == "NONE":
            assert (function, "lambda:InvokeFunctionUrl") in allowed
            assert (function, "lambda:InvokeFunction") in allowed


def known_to_moto(template: dict[str, Any]) -> dict[str, Any]:
    """The template without the resources that moto does not know, and all that refers to them."""
    known = (set(get_model_map()) | set(NULL_MODELS)) - BY_THEIR_BODY
    parts = {name: dict(template[name]) for name in ("Resources", "Outputs")}
    gone = {name for name, each in parts["Resources"].items() if each["Type"] not in known}
    lost = set(gone)
    while gone:
        for part in parts.values():
            for name in gone & set(part):
                del part[name]
        lost |= gone
        gone = {
            name
            for part in parts.values()
            for name, each in part.items()
            if lost & {first or second for first, second in REFERENCE.findall(json.dumps(each))}
        }
    for each in parts["Resources"].values():
        if lost & {each.get("DependsOn")}:
            del each["DependsOn"]
    return template | parts


def test_moto_makes_of_it_what_it_knows(
    translated: dict[str, Any], aws: Client, arguments: list[str], tmp_path: Path
) -> None:
    """Functions, layer, log group, roles, network and load balancer.

    moto deletes a network before what is in it, and refuses that: test_life.py deletes stacks.
    """
    path = tmp_path / "translated.json"
    template = known_to_moto(translated)
    path.write_text(json.dumps(template))
    kinds = Counter(each["Type"] for each in template["Resources"].values())
    assert kinds["AWS::Lambda::Function"] > 15
    assert kinds["AWS::ElasticLoadBalancingV2::Listener"] == kinds["AWS::Logs::LogGroup"] == 1
    said: list[str] = []
    zips = stack.Zips.packed(tmp_path / "layer.zip", tmp_path)
    made = stack.make(aws, NAME, zips, said.append, template=path, parameters={})
    assert len(made.functions) == kinds["AWS::Lambda::Function"]
    assert {"load balancer"} == set(doors.targets(made.outputs, made.functions, aws))
