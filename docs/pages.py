"""A hook of mkdocs.yml: the pages that lie above docs/, and links that lead out of it.

On GitHub a page links to `../src/...` and `../README.md`. Here the second kind is a page of the
site, and the first leads to the repository. A link to a file that is not there fails the build.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

logger = logging.getLogger("mkdocs.plugins.pages")  # what it warns of fails a strict build

ROOT = Path(__file__).parents[1]

ABOVE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
"""Pages of the repository's root, and what they are called in the site."""

MOVED = {**ABOVE, "docs/README.md": "index.md"}  # the navigation says what that page lists

LINK = re.compile(r"(?P<before>\]\(|<img src=\")(?P<path>[^)#\"\s]*)(?P<anchor>#[^)\"\s]*)?")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages above docs/."""
    for path, name in ABOVE.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Let each link lead to a page of the site, or else to the repository."""
    here = page.file.src_uri
    in_repository = next((path for path, name in ABOVE.items() if name == here), f"docs/{here}")

    def led(match: re.Match[str]) -> str:
        path, anchor = match["path"], match["anchor"] or ""
        if not path or "://" in path or path.startswith("mailto:"):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), path))
        name = MOVED.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(name) and (target in MOVED or target.startswith("docs/")):
            found = posixpath.relpath(name, posixpath.dirname(here) or ".")
            return f"{match['before']}{found}{anchor}"
        if not (ROOT / target).exists():
            logger.warning("%s links to %s, which is not there", in_repository, path)
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{match['before']}{config.repo_url}/{kind}/main/{target}{anchor}"

    parts = FENCED.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(led, part) for part in parts)
