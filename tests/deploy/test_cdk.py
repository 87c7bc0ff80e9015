"""The CDK project, synthesized (`make cdk` installs what it needs; Node.js runs inside)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lamella.templates import Url, find_function, read
from tests.deploy.projects import (
    ROOT,
    STREAMING,
    WITH_3_13,
    assert_compiled,
    copied,
    needs_python_3_13,
    run,
)

PYTHON = ROOT / ".venv-cdk" / "bin" / "python"
CFN_LINT = ROOT / ".venv-sam" / "bin" / "cfn-lint"

STREAM = "RESPONSE_STREAM"

pytestmark = [
    needs_python_3_13,
    pytest.mark.skipif(
        shutil.which("node") is None, reason="CDK needs Node.js: apt-get install nodejs"
    ),
    pytest.mark.skipif(not PYTHON.exists(), reason="CDK is not installed: make cdk"),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, layer_package: Path) -> Path:
    """The CloudFormation template that `cdk synth` makes."""
    project = copied("cdk", tmp_path_factory.mktemp("cdk"))
    run(PYTHON, "app.py", cwd=project, CDK_OUTDIR=str(project / "out"), PATH=WITH_3_13,
        PYTHONPATH=str(layer_package),
        JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION="1")  # fmt: skip
    return project / "out" / "Api.template.json"


def test_the_layer_of_the_package_is_attached(template: Path, layer_package: Path) -> None:
    function = _properties(template, "AWS::Lambda::Function")
    resources = json.loads(template.read_text())["Resources"]
    ((name, layer),) = (
        each for each in resources.items() if each[1]["Type"] == "AWS::Lambda::LayerVersion"
    )
    assert function["Layers"] == [{"Ref": name}]
    asset = template.parent / f"asset.{layer['Properties']['Content']['S3Key']}"
    zip_file = layer_package / "lamella_layer" / "lamella-layer.zip"
    assert asset.read_bytes() == zip_file.read_bytes()
    assert "python3.13" in layer["Properties"]["CompatibleRuntimes"]
    assert layer["Properties"]["CompatibleArchitectures"] == ["arm64", "x86_64"]
    assert function["Environment"]["Variables"] == STREAMING
    assert _properties(template, "AWS::Lambda::Url")["InvokeMode"] == "RESPONSE_STREAM"


def test_lamella_reads_what_cdk_has_made(template: Path) -> None:
    function = find_function(read(template))
    assert function.code is not None
    assert_compiled(function.code)
    assert function.url == Url(function.url.name if function.url else "", "AWS_IAM", STREAM)
    assert function.variables == STREAMING
    [layer] = function.layers
    assert layer.content is not None
    assert layer.content.suffix == ".zip"


@pytest.mark.skipif(not CFN_LINT.exists(), reason="cfn-lint comes with SAM CLI: make sam")
def test_cloudformation_would_accept_it(template: Path) -> None:
    # W: CDK writes more than is needed, which is no error.
    options = ["--ignore-checks", "W", "--regions", "eu-west-1"]
    run(CFN_LINT, *options, "--template", template, cwd=template.parent)


def _properties(template: Path, kind: str) -> dict[str, Any]:
    resources = json.loads(template.read_text())["Resources"].values()
    [found] = [each["Properties"] for each in resources if each["Type"] == kind]
    assert isinstance(found, dict)
    return found
