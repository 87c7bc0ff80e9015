"""docs/frameworks and the examples belong together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lamella.settings import TABLE
from tests.matrix import table
from tests.matrix.frameworks import ABILITIES, FRAMEWORKS, Framework
from tests.sam_cli import assert_valid, needs_sam

ROOT = Path(__file__).parents[2]
BY_EXAMPLE = list({framework.folder: framework for framework in FRAMEWORKS}.values())

each_example = pytest.mark.parametrize("framework", BY_EXAMPLE, ids=lambda each: each.name)


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags (!Ref and such) as plain values."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)


def properties(template: str) -> dict[str, Any]:
    """The function's properties in a template."""
    found: dict[str, Any] = yaml.load(template, _Loader)["Resources"]["Function"]["Properties"]
    return found


def page(framework: Framework) -> str:
    return (table.DOCS / framework.page).read_text()


def template(framework: Framework) -> str:
    return (framework.folder / "template.yaml").read_text()


def test_the_tables_are_those_of_the_stored_run() -> None:
    text = table.PAGE.read_text()
    assert text == table.in_page(text, table.render(table.load())), "run `make matrix`"


def test_the_stored_run_had_every_framework_in_it() -> None:
    assert list(table.load()["frameworks"]) == [framework.name for framework in FRAMEWORKS]
    for framework in FRAMEWORKS:
        assert {*framework.abilities, *framework.lacks} == {*ABILITIES}


def test_each_framework_is_right_in_one_base_path_mode() -> None:
    for framework in FRAMEWORKS:
        failed = table.load()["frameworks"][framework.name]["failed"]
        assert not {"base path", "stage"} & failed.keys(), framework.title


@each_example
def test_an_example_knows_nothing_of_lambda(framework: Framework) -> None:
    source = (framework.folder / "main.py").read_text()
    assert not re.search(r"import.*(lamella|mangum|boto)|AWS_|aws\.event", source)
    assert not re.search("lamella|mangum|uvicorn", " ".join(framework.requirements))


@each_example
def test_the_template_says_what_the_matrix_ran(framework: Framework) -> None:
    variables = properties(template(framework))["Environment"]["Variables"]
    assert variables["ASGI_APP"] == "main:app"
    assert variables.get("ASGI_BASE_PATH_MODE", "mount") == framework.mode
    known = {row.variable for row in TABLE}
    assert {name for name in variables if name.startswith("ASGI_")} <= known


def shown(framework: Framework) -> str:
    """The template that the page shows, as it stands."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page(framework), re.MULTILINE | re.DOTALL)
    assert isinstance(block, str)
    return block


BY_THE_LAYER = {"AWS_LAMBDA_EXEC_WRAPPER", "ASGI_APP"}
"""Variables that the one line makes needless."""


@each_example
def test_the_page_s_template_is_the_example_s_in_one_line(framework: Framework) -> None:
    found, whole = properties(shown(framework)), properties(template(framework))
    assert found.pop("Handler") == "lamella.serve.main:app"
    variables = whole["Environment"]["Variables"]
    variables = {name: value for name, value in variables.items() if name not in BY_THE_LAYER}
    assert found["Environment"]["Variables"] == variables
    whole = {**whole, "Environment": found["Environment"]}
    assert found == {
        name: value for name, value in whole.items() if name not in ("Handler", "Layers")
    }


@each_example
def test_the_page_begins_with_how_to_run_and_to_deploy_it(framework: Framework) -> None:
    first = "\n".join(page(framework).split("\n")[:10])
    assert f"(../../examples/{framework.folder.name})" in first
    for command in ("lamella run main:app", "sam build && sam deploy --guided"):
        assert f"`{command}`" in first


@each_example
def test_the_page_s_links_lead_somewhere(framework: Framework) -> None:
    assert f"(../../examples/{framework.folder.name})" in page(framework)
    for link in re.findall(r"\]\(([^)#]+)", page(framework)):
        assert link.startswith("https://") or (table.DOCS / link).exists(), link


def test_every_page_is_in_the_matrix() -> None:
    pages = {path.name for path in table.DOCS.glob("*.md")} - {"README.md"}
    assert pages == {framework.page for framework in FRAMEWORKS}


@needs_sam
def test_sam_takes_every_template(tmp_path: Path) -> None:
    """Those of the examples, and those of the pages as they stand."""
    templates = [framework.folder / "template.yaml" for framework in BY_EXAMPLE]
    (tmp_path / "main.py").touch()
    for text in {shown(framework) for framework in BY_EXAMPLE}:
        path = tmp_path / f"template{len(templates)}.yaml"
        path.write_text(text)
        templates.append(path)
    assert_valid(templates)
