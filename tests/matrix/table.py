"""The matrix as tables for docs/frameworks/README.md, made of the stored results of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.matrix.frameworks import ABILITIES, FRAMEWORKS, Framework
from tests.matrix.function import WAYS
from tests.matrix.run import EVERYWHERE, PREFIXED

DOCS = Path(__file__).parents[2] / "docs" / "frameworks"
RESULTS = DOCS / "matrix.json"
PAGE = DOCS / "README.md"
BEGIN = "<!-- matrix: `make matrix` writes from here to the end mark -->"
END = "<!-- end of matrix -->"

Results = Mapping[str, Any]


def load() -> Results:
    """The stored results."""
    results: Results = json.loads(RESULTS.read_text())
    return results


def render(results: Results) -> str:
    """All tables with their notes."""
    rows = [(framework, results["frameworks"][framework.name]) for framework in FRAMEWORKS]
    notes = _notes()
    parts = [
        _table(
            ["", "version", *ABILITIES],
            [
                [_link(f), r["version"], *(_cell(f, r, notes, a) for a in ABILITIES)]
                for f, r in rows
            ],
        ),
        "\n".join(f"{number}. {reason}." for reason, number in notes.items()),
        f"How many checks passed on Python {results['python']}, by way in:",
        _table(["", *(way.name for way in WAYS)], [[f.title, *_counts(r)] for f, r in rows]),
        "What each `ASGI_BASE_PATH_MODE` gives:",
        _table(["", "mount", "strip"], [[f.title, *_modes(f, r)] for f, r in rows]),
        "The Pythons that this version runs on, on the buffered bootstrap; *no* has pip's reason:",
        _pythons(rows),
    ]
    return "\n\n".join(parts)


def in_page(page: str, tables: str) -> str:
    """The page with the tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}"


def summary(results: Results) -> str:
    """The first table without its links, for a terminal."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", render(results))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(list(head)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _link(framework: Framework) -> str:
    return f"[{framework.title}]({framework.page})"


def _notes() -> dict[str, int]:
    """reason -> number, in the order in which a reader meets them."""
    reasons = [
        framework.lacks[ability]
        for framework in FRAMEWORKS
        for ability in ABILITIES
        if ability in framework.lacks
    ]
    return {reason: number for number, reason in enumerate(dict.fromkeys(reasons), 1)}


def _cell(framework: Framework, result: Results, notes: dict[str, int], ability: str) -> str:
    if ability in framework.lacks:
        return f"no ({notes[framework.lacks[ability]]})"
    failed = result["failed"].get(ability)
    return "yes" if failed is None else f"FAILS: {failed}"


def _counts(result: Results) -> list[str]:
    return [f"{passed} of {ran}" for passed, ran in result["ways"].values()]


def _modes(framework: Framework, result: Results) -> list[str]:
    own = _mode(framework, result["failed"])
    other = _mode(framework, result["other"])
    return [own, other] if framework.mode == "mount" else [other, own]


def _mode(framework: Framework, failed: Mapping[str, Any]) -> str:
    if any(ability in failed for ability in PREFIXED if ability != "URLs"):
        return "not found"
    if "URLs" not in framework.contract:
        return "right"
    return "URLs lack the prefix" if "URLs" in failed else "right"


def _pythons(rows: list[tuple[Framework, Results]]) -> str:
    minors = list(rows[0][1]["pythons"])
    return _table(
        ["", *minors],
        [[f.title, *(_on_python(f, r["pythons"][minor]) for minor in minors)] for f, r in rows],
    )


def _on_python(framework: Framework, found: Results) -> str:
    if "refused" in found:
        return f"no: {found['refused']}"
    failed = [ability for ability in found["failed"] if ability not in framework.lacks]
    return f"FAILS: {', '.join(failed)}" if failed else "yes"


__all__ = ["EVERYWHERE", "PAGE", "RESULTS", "Results", "in_page", "load", "render", "summary"]
