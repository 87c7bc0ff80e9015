"""The README says what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from lamella.settings import OTHER_VARIABLES, TABLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_table_has_every_setting_with_its_default_and_a_meaning() -> None:
    table = README.split("<!-- settings:", 1)[1].split("<!-- end of settings -->", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.+?)`)? \| (.+) \|$", table, re.MULTILINE)
    settings = [(row.variable, row.default) for row in TABLE]
    assert [row[:2] for row in rows] == settings + [(name, "") for name in OTHER_VARIABLES]


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", code_blocks("python"))
def test_python_blocks_compile(code: str) -> None:
    ast.parse(code)


class _SamLoader(yaml.SafeLoader):
    """Reads CloudFormation's short tags (!Ref and such) as plain values."""


_SamLoader.add_multi_constructor("!", lambda loader, suffix, node: suffix)


@pytest.mark.parametrize("template", code_blocks("yaml"))
def test_yaml_blocks_are_templates(template: str) -> None:
    loaded = yaml.load(template, _SamLoader)
    variables = loaded["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    known = {row.variable for row in TABLE} | {"AWS_LAMBDA_EXEC_WRAPPER"}
    assert variables.keys() <= known


TARGETS = sorted(set(re.findall(r"(?:`|^|=rest )make ([a-z-]+)\b", README, re.MULTILINE)))


@pytest.mark.parametrize("target", TARGETS)
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


def test_nothing_but_development_needs_a_checkout() -> None:
    """Whoever deploys or tries it has the packages."""
    before, _, development = README.partition("\n## Development\n")
    assert "make run" in development
    words = ("checkout", "clone", "this repository", "make ")
    assert [line for line in before.splitlines() if any(word in line for word in words)] == []
