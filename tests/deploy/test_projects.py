"""What all projects have in common, and the two that have no compiler of their own here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.projects import (
    DEPLOY,
    PYTHON_3_13,
    ROOT,
    STREAMING,
    TOOLS,
    WITH_3_13,
    WITH_PIP,
    assert_compiled,
    copied,
    hcl,
    needs_python_3_13,
    parsed_hcl,
    run,
)

TERRAFORM = shutil.which("terraform")
NODE = shutil.which("node")


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


@needs_python_3_13
def test_terraform_builds_and_compiles_in_its_plan(tmp_path: Path) -> None:
    """The program of its data source, whose only output is the JSON that Terraform wants."""
    project = copied("terraform", tmp_path)
    data = parsed_hcl(project / "main.tf")["data"]
    external = {name: body for each in data for name, body in each.get("external", {}).items()}
    build = external["build"]
    (archive,) = (each["archive_file"] for each in data if "archive_file" in each)
    assert archive["function"]["depends_on"] == ["${data.external.build}"]
    assert archive["function"]["source_dir"] == "${path.module}/build"
    assert build["working_dir"] == "${path.module}"
    done = subprocess.run(
        build["program"], cwd=project, env={**os.environ, "PATH": WITH_3_13}, stdout=subprocess.PIPE
    )
    assert json.loads(done.stdout) == {}
    assert_compiled(project / "build")


@needs_python_3_13
@pytest.mark.skipif(NODE is None, reason="a plugin of the framework needs Node.js")
def test_the_hook_of_serverless_builds_and_compiles(tmp_path: Path) -> None:
    """The plugin that serverless.yml names, called as the framework calls it."""
    project = copied("serverless", tmp_path)
    service = yaml.safe_load((project / "serverless.yml").read_text())
    (plugin,) = service["plugins"]
    hook = "before:package:createDeploymentArtifacts"
    script = f"new (require({json.dumps(plugin)}))().hooks[{json.dumps(hook)}]()"
    run(NODE, "-e", script, cwd=project, PATH=WITH_3_13)
    shutil.unpack_archive(project / service["package"]["artifact"], tmp_path / "function")
    assert_compiled(tmp_path / "function")


@needs_python_3_13
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
    assert_compiled(build)


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
    external = {k: v for entry in parsed["data"] for k, v in entry.get("external", {}).items()}
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
    assert service.keys() == {"service", "provider", "plugins", "package", "layers", "functions"}
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
