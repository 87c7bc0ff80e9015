"""What all projects have in common, and the two that have no compiler of their own here."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from lamella.local.bytecode import modules
from layer import pythons
from tests.deploy.projects import (
    DEPLOY,
    ROOT,
    STREAMING,
    TOOLS,
    WITH_PIP,
    copied,
    hcl,
    parsed_hcl,
    run,
)

TERRAFORM = shutil.which("terraform")
PYTHON_3_13 = next((each.path for each in pythons.find() if each.minor == "3.13"), None)


@pytest.mark.parametrize("name", ["app/main.py", "app/requirements.txt"])
def test_every_tool_deploys_the_same_application(name: str) -> None:
    assert len({(DEPLOY / tool / name).read_text() for tool in TOOLS}) == 1


@pytest.mark.parametrize("name", ["sam/one-line", "container", "uv"])
def test_the_one_line_way_deploys_it_too(name: str) -> None:
    with_layer, one_line = DEPLOY / "sam" / "app", DEPLOY / name
    assert (one_line / "main.py").read_text() == (with_layer / "main.py").read_text()
    required = [*(with_layer / "requirements.txt").read_text().split(), "lamella"]
    if name == "uv":
        project = (one_line / "pyproject.toml").read_text()
        assert f"\ndependencies = {json.dumps(required)}\n" in project
    else:
        assert (one_line / "requirements.txt").read_text().split() == required


def test_the_build_scripts_are_the_same() -> None:
    tools = ("cloudfront", *(tool for tool in TOOLS if tool != "sam"))
    scripts = [DEPLOY / tool / "build.sh" for tool in tools]
    assert len({script.read_text() for script in scripts}) == 1
    assert all(script.stat().st_mode & 0o111 for script in scripts)


def test_nobodys_account_is_written_down() -> None:
    for path in (path for path in DEPLOY.rglob("*") if path.is_file()):
        if path.suffix in {".yaml", ".yml", ".tf", ".py", ".json", ".sh"}:
            assert not re.search(r"\b\d{12}\b", path.read_text()), path


@pytest.mark.timeout(300)
def test_the_build_script_makes_a_function_for_arm64(tmp_path: Path) -> None:
    """Wheels for Lambda's platform, whatever machine builds; and only those."""
    project = copied("terraform", tmp_path)
    run("sh", "build.sh", cwd=project, PATH=WITH_PIP)
    natives = [path.name for path in (project / "build").rglob("*.so")]
    assert natives
    assert all("cpython-313-aarch64-linux-gnu" in name for name in natives)
    assert (project / "build" / "main.py").exists()
    assert len(list(modules(project / "build"))) > 100


@pytest.mark.skipif(
    PYTHON_3_13 is None,
    reason="no python3.13, for which the uv project is built: uv python install 3.13",
)
@pytest.mark.timeout(300)
def test_the_uv_project_is_built_from_its_lock(layer_package: Path, tmp_path: Path) -> None:
    """With the packages from a local index: the function gets no layer and no development tool."""
    dist = tmp_path / "dist"
    for where in (ROOT, ROOT / "layer" / "distribution"):
        run(sys.executable, "-m", "hatchling", "build", "-d", dist, "-t", "wheel", cwd=where)
    project = copied("uv", tmp_path)
    options = {"UV_FIND_LINKS": str(dist), "UV_PYTHON": str(PYTHON_3_13), "PATH": WITH_PIP}
    run("uv", "lock", cwd=project, **options)
    run("./build.sh", cwd=project, **options)
    build = project / "build"
    assert {"main.py", "fastapi", "lamella"} <= {path.name for path in build.iterdir()}
    assert not (build / "lamella_layer").exists()
    natives = [path.name for path in build.rglob("*.so")]
    assert natives
    assert all("cpython-313-aarch64-linux-gnu" in name for name in natives)


@pytest.mark.skipif(
    TERRAFORM is None, reason="no terraform: developer.hashicorp.com/terraform/install"
)
def test_terraform_is_formatted() -> None:
    # The user's own configuration of terraform is none of ours.
    nowhere = {"TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1"}
    run(TERRAFORM, "fmt", "-check", "-diff", "-recursive", cwd=DEPLOY, **nowhere)


def test_terraform_attaches_the_layer(layer_package: Path, tmp_path: Path) -> None:
    parsed = parsed_hcl(DEPLOY / "terraform" / "main.tf")
    resources = hcl(DEPLOY / "terraform" / "main.tf")
    function = resources["aws_lambda_function"]["function"]
    assert function["layers"] == ["${aws_lambda_layer_version.lamella.arn}"]
    layer = resources["aws_lambda_layer_version"]["lamella"]
    (external,) = (entry["external"] for entry in parsed["data"] if "external" in entry)
    zip_file = layer["filename"].removeprefix("${").removesuffix("}")
    assert zip_file == "data.external.lamella_layer.result.zip"
    assert layer["source_code_hash"] == f"${{filebase64sha256({zip_file})}}"
    program = external["lamella_layer"]["program"]
    told = json.loads(run(*program, cwd=tmp_path, PYTHONPATH=str(layer_package)))
    assert told == {"zip": str(layer_package / "lamella_layer" / "lamella-layer.zip")}
    assert function["environment"][0]["variables"] == STREAMING
    url = resources["aws_lambda_function_url"]["function"]
    assert url["invoke_mode"] == "RESPONSE_STREAM"
    assert {name for entry in parsed["variable"] for name in entry} == {"name", "public"}
    permissions = resources["aws_lambda_permission"]
    assert {body["count"] for body in permissions.values()} == {"${var.public ? 1 : 0}"}
    assert permissions["public_url"]["action"] == "lambda:InvokeFunctionUrl"
    assert permissions["public_url"]["function_url_auth_type"] == "NONE"
    assert permissions["public_invoke"]["action"] == "lambda:InvokeFunction"
    assert permissions["public_invoke"]["invoked_via_function_url"] is True


def test_serverless_attaches_the_layer() -> None:
    """Its schema is in an npm package; these are the keys and values that it allows there."""
    service = yaml.safe_load((DEPLOY / "serverless" / "serverless.yml").read_text())
    assert service.keys() == {"service", "provider", "package", "layers", "functions"}
    provider, function = service["provider"], service["functions"]["api"]
    assert provider["name"] == "aws"
    assert provider["runtime"] == "python3.13"
    assert provider["architecture"] in {"arm64", "x86_64"}
    assert provider.keys() <= {"name", "region", "runtime", "architecture", "memorySize", "timeout"}
    assert service["package"] == {"artifact": "function.zip"}
    assert function.keys() == {"handler", "layers", "environment", "url"}
    assert function["layers"] == [{"Ref": "LamellaLambdaLayer"}]
    assert service["layers"]["lamella"]["package"] == {"artifact": "lamella-layer.zip"}
    assert function["environment"] == STREAMING
    assert function["url"] == {"authorizer": "aws_iam", "invokeMode": "RESPONSE_STREAM"}


PAGES = sorted([*(ROOT / "docs" / "deploy").glob("*.md"), ROOT / "docs" / "check-and-compile.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_the_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)[#)]", page.read_text())
    assert all((page.parent / link).exists() for link in links), links
