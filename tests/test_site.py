"""The documentation's site: `make docs` builds it, and every link in it leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-docs" / "bin" / "python"
LINKS = re.compile(r'(?:href|src)="(?!https?:|mailto:|data:|#)([^"#?]+)')

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="MkDocs is not installed: make docs")


def built(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PYTHON), "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


def test_every_page_is_there_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    done = built(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        base = tmp_path if page.name == "404.html" else page.parent
        for link in LINKS.findall(page.read_text()):
            path = tmp_path / link[1:] if link.startswith("/") else base / unquote(link)
            assert path.exists(), f"{page.relative_to(tmp_path)} links to {link}"
    held = json.loads((tmp_path / "search" / "search_index.json").read_text())["docs"]
    found = {entry["location"] for entry in held}
    assert {"glossary/", "run/", "frameworks/flask/", "#settings"} <= found


def test_a_link_to_what_is_not_there_fails_the_build(tmp_path: Path) -> None:
    root = tmp_path / "copy"
    root.mkdir()
    for entry in ROOT.iterdir():
        if entry.name != "docs":
            (root / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "docs", root / "docs")
    page = root / "docs" / "glossary.md"
    page.write_text(page.read_text() + "\n[gone](../src/lamella/gone.py)\n")
    done = built(root, tmp_path / "site")
    assert done.returncode != 0
    assert "docs/glossary.md links to ../src/lamella/gone.py, which is not there" in done.stderr
