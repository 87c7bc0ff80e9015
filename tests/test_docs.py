"""The code in README.md and docs/ works: Python is linted and run, YAML is read, templates linted.

The Python blocks of a page are one program: each runs in order in one folder, and a block whose
first line is a comment such as `# main.py` is that file, which later ones can import. Functions
called `test_...` are called. A block that cannot run is preceded by `<!-- not run: reason -->`.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from lamella.settings import OTHER_VARIABLES, TABLE

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *EXAMPLES]
LINTER = ROOT / ".venv-sam" / "bin" / "cfn-lint"

NOT_EVERYWHERE = {
    *("a2wsgi", "aioboto3", "asyncpg", "aws_cdk", "blacksheep", "boto3", "channels", "connexion"),
    *("debugpy", "pydevd_pycharm"),
    *("django", "fasthtml", "falcon", "flask", "litestar", "mcp", "opentelemetry"),
    *("psycopg", "quart", "redis", "responder", "sanic", "snapshot_restore_py", "sqlalchemy"),
    *("strawberry", "uvloop"),
}
"""What a page may import although not every environment has it: such a page is then skipped."""

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block; `reason` says why it is not run, "" where it is."""

    page: Path
    line: int
    language: str
    code: str
    reason: str

    @property
    def name(self) -> str:
        """The file that the block is, or a name of its own."""
        named = re.match(r"# ([\w/]+\.py)\n", self.code)
        return named[1] if named else f"block_{self.line}.py"

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, match.start("code")),
            match["language"],
            match["code"],
            match["reason"] or "",
        )
        for match in FENCE.finditer(text)
        if match["language"] in languages
    ]


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks(page, "python") if not block.reason]


PYTHON = {page: found for page in PAGES if (found := runnable(page))}
FRAGMENTS = [block for page in PAGES for block in blocks(page, "python") if block.reason]
YAML = [block for page in PAGES for block in blocks(page, "yaml")]


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PYTHON, ids=page_id)
def test_python_is_as_formatted_and_linted_as_ours(page: Path, tmp_path: Path) -> None:
    """But for two rules: examples may be without docstrings, and may assert."""
    for block in PYTHON[page]:
        target = tmp_path / f"line_{block.line}" / block.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    lint = [*ruff, "check", *rules, "--ignore", "ANN,ARG,D,I001,INP,T20", str(tmp_path)]
    layout = [*ruff, "format", *rules, "--diff", str(tmp_path)]
    for command in (lint, layout):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
def test_what_is_not_run_is_python_at_least(block: Block) -> None:
    ast.parse(block.code)


RUNNER = """
import asyncio, inspect, runpy, sys
sys.path.insert(0, "")
for name in sys.argv[1:]:
    module = runpy.run_path(name, run_name=name.removesuffix(".py").replace("/", "."))
    for function in [value for key, value in module.items() if key.startswith("test_")]:
        result = function()
        if inspect.isawaitable(result):
            asyncio.run(result)
"""


@pytest.mark.parametrize("page", PYTHON, ids=page_id)
def test_python_runs(page: Path, tmp_path: Path) -> None:
    if missing := set(missing_packages(PYTHON[page])):
        unknown = missing - NOT_EVERYWHERE
        assert not unknown, f"{page_id(page)} imports {unknown}: misspelt, or a new requirement?"
        pytest.skip(f"{page_id(page)} was only linted: {', '.join(missing)} is not installed")
    for block in PYTHON[page]:
        target = tmp_path / block.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code)
    names = list(dict.fromkeys(block.name for block in PYTHON[page]))
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ASGI_")}
    environ |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUNNER, *names]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def missing_packages(page_blocks: list[Block]) -> Iterator[str]:
    own = {block.name.removesuffix(".py").partition("/")[0] for block in page_blocks}
    for block in page_blocks:
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            for root in {name.partition(".")[0] for name in names} - own:
                if importlib.util.find_spec(root) is None:
                    yield root


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags (!Ref and such) as the text behind them."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: node.value)

VARIABLES = {row.variable for row in TABLE} | OTHER_VARIABLES


@pytest.mark.parametrize("block", YAML, ids=str)
def test_yaml_names_only_variables_that_exist(block: Block) -> None:
    loaded = yaml.load(block.code, Loader)
    assert loaded, "an empty block"
    assert {key for key in keys(loaded) if key.startswith("ASGI_")} <= VARIABLES


def keys(value: Any) -> Iterator[str]:
    """Every key of every mapping in the document."""
    if isinstance(value, dict):
        yield from (str(key) for key in value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from keys(item)


HEAD = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  LamellaLayerArn:
    Type: String
"""
"""What a page about one framework leaves out: every SAM template begins so."""


@pytest.mark.skipif(not LINTER.exists(), reason="cfn-lint is not installed: make sam")
def test_templates_are_what_cloudformation_takes(tmp_path: Path) -> None:
    templates = [block for block in YAML if "\nResources:" in f"\n{block.code}"]
    assert templates
    for block in templates:
        name = f"{page_id(block.page)}-line-{block.line}.yaml".replace("/", "-")
        (tmp_path / name).write_text(
            block.code if "Transform:" in block.code else HEAD + block.code
        )
    command = [str(LINTER), "--regions", "eu-west-1", "--", *sorted(map(str, tmp_path.iterdir()))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


LINK = re.compile(r"\]\(([^)\s]+)\)")
GUIDES = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


@pytest.mark.parametrize("page", GUIDES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them: lower case, words joined by hyphens."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


SRC = ROOT / "src" / "lamella"
OURS = {path.name for folder in (ROOT, SRC) for path in folder.iterdir() if path.is_dir()}
NAMED = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/[\w.-]*|[\w-]+\.md)`")
MADE = {".cache", "build", "dist", "layer/layers.json"}
"""What commands make, so that it need not be there."""


@pytest.mark.parametrize("page", GUIDES, ids=page_id)
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A name such as `tests/conftest.py` or `asgi/http.py` is a file of ours."""
    for name in NAMED.findall(page.read_text()):
        first = name.partition("/")[0]
        if first in OURS or name.endswith(".md"):
            near = (ROOT / name, SRC / name, page.parent / name)
            assert {name, first} & MADE or any(path.exists() for path in near), name


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """What `make docs` refuses, also where MkDocs is not installed."""
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    named = re.findall(r"- (?:.+: )?(\S+\.md)\n", navigation)  # with a title before it, or without
    missing = pages - {"README.md"} - set(named)
    assert not missing, "add it to the nav of mkdocs.yml"
