"""Every SAM variant, as AWS's SAM CLI sees it (`make sam` installs it)."""

from __future__ import annotations

import os
import platform
import re
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deploy.projects import (
    DEPLOY,
    ROOT,
    WITH_3_13,
    WITH_PIP,
    assert_compiled,
    copied,
    needs_python_3_13,
    run,
)
from tests.sam_cli import SAM, assert_valid, needs_sam
from tests.tools.functions import lamella

THIS_MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"

pytestmark = needs_sam


# Those of the frameworks' examples: tests/matrix/test_docs.py.
TEMPLATES = [
    ROOT / "template.yaml",
    *ROOT.glob("examples/chat*/template.yaml"),
    *(ROOT / "examples" / name / "template.yaml" for name in ("agent", "events", "powertools")),
    *DEPLOY.glob("*/template.yaml"),
    *DEPLOY.glob("sam/*.yaml"),
    DEPLOY / "cloudfront/challenge.yaml",
]


def test_sam_takes_every_template() -> None:
    assert len(TEMPLATES) > 15
    assert_valid(TEMPLATES)


def test_the_rest_api_streams_on_every_path() -> None:
    """Both marks of a stream, on each method: one without the other loses the body."""
    text = (DEPLOY / "sam" / "rest-api.yaml").read_text()
    methods = text.count("x-amazon-apigateway-any-method:")
    assert methods == text.count("responseTransferMode: STREAM") == 2
    assert methods == text.count("/response-streaming-invocations\n")


def test_one_line_is_built_from_the_package(tmp_path: Path) -> None:
    """As `sam build` makes it, with the package from an index, and without awslambdaric."""
    dist = tmp_path / "dist"
    run(sys.executable, "-m", "hatchling", "build", "-d", dist, "-t", "wheel", cwd=ROOT)
    project = copied("sam", tmp_path)
    text = (project / "one-line.yaml").read_text()
    (project / "one-line.yaml").write_text(text.replace("python3.13", f"python{THIS_MINOR}"))
    options = {"PATH": WITH_PIP, "PIP_FIND_LINKS": str(dist)}
    run(SAM, "build", "--template", project / "one-line.yaml", cwd=project, **options)
    function = project / ".aws-sam" / "build" / "Function"
    assert (function / "lamella" / "serve.py").exists()
    assert (function / "lamella" / "_awslambdaric" / "lambda_context.py").exists()
    assert not (function / "awslambdaric").exists()


@needs_python_3_13
def test_the_makefile_compiles_what_sam_builds(tmp_path: Path) -> None:
    """For the template's runtime and architecture, whatever machine builds."""
    dist = tmp_path / "dist"
    run(sys.executable, "-m", "hatchling", "build", "-d", dist, "-t", "wheel", cwd=ROOT)
    project = copied("sam", tmp_path)
    options = {"PATH": WITH_3_13, "PIP_FIND_LINKS": str(dist)}
    run(SAM, "build", "--template", "compiled.yaml", cwd=project, **options)
    assert_compiled(project / ".aws-sam" / "build" / "Function")


def test_the_layer_is_unpacked_from_the_package(layer_package: Path, tmp_path: Path) -> None:
    """What `sam build` makes of the makefile: Lambda's /opt, with an executable bootstrap."""
    project = copied("sam", tmp_path)
    template = project / "layer-from-package.yaml"
    options = {"PATH": WITH_PIP, "PYTHONPATH": str(layer_package)}
    run(SAM, "build", "LamellaLayer", "--template", template, cwd=project, **options)
    layer = project / ".aws-sam" / "build" / "LamellaLayer"
    with zipfile.ZipFile(layer_package / "lamella_layer" / "lamella-layer.zip") as archive:
        files = {path.relative_to(layer).as_posix() for path in layer.rglob("*") if path.is_file()}
        assert files == set(archive.namelist())
    assert os.access(layer / "bootstrap", os.X_OK)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What `sam build` makes of the Function URL variant, for the running Python."""
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    project = copied("sam", tmp_path)
    template = project / "function-url.yaml"
    text = template.read_text().replace("python3.13", f"python{THIS_MINOR}")
    template.write_text(re.sub(r"\[arm64\]", f"[{architecture}]", text))
    run(SAM, "build", "--template", template, cwd=project, PATH=WITH_PIP)
    return project / ".aws-sam" / "build" / "Function"


def test_the_documented_way_from_build_to_deploy(built: Path) -> None:
    """sam build, lamella compile, lamella check: without an option, as the page says."""
    before = lamella("check", built, "--json").json
    assert before["template"] == str(built.parent / "template.yaml")
    done = lamella("compile", built, "--json").json
    assert done["import"]["after_ms"] < done["import"]["before_ms"]
    after = lamella("check", built, "--strict")
    assert after.status == 0, after.output
