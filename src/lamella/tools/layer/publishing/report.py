"""What the command prints: what would happen, and what has happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from lamella.tools.layer.publishing import numbers
from lamella.tools.layer.publishing.access import Access
from lamella.tools.layer.publishing.fleet import Failed
from lamella.tools.layer.publishing.numbers import Latest


def intention(
    latest: Latest, code_sha256: str, wanted: int, access: Sequence[Access], parameter: str | None
) -> str:
    """Return what publishing would do in a region that has `latest`."""
    allowed = " and ".join(each.words for each in access)
    write = f", and write its ARN to the parameter {parameter}" if parameter else ""
    if latest.code_sha256 == code_sha256:
        sure = f"; would make sure that {allowed} may use it" if access else ""
        if parameter:
            write = f"; would write its ARN to the parameter {parameter}"
        return f"has it already as version {latest.number}{sure}{write}"
    fills = numbers.placeholders(latest, wanted)
    number = latest.number + fills + 1
    first = latest.number + 1
    before = f" after {fills} placeholder(s) from version {first} on" if fills else ""
    use = f", and let {allowed} use it" if access else ""
    return f"would publish version {number}{before}{use}{write}"


def dry_run(console: Console, intentions: Mapping[str, str]) -> None:
    """Print what would happen in each region, and that it has not."""
    rows = [(region, _failed(words)) for region, words in intentions.items()]
    _table(console, ("region", "what --yes would do"), rows)
    console.print("Nothing was changed. To do it: --yes (make publish ... YES=1)")


def outcome(console: Console, results: Mapping[str, Latest | Failed]) -> None:
    """Print which version each region has now, and what went wrong in the others."""
    rows = [
        (region, f"version {result.number}" if isinstance(result, Latest) else _failed(result))
        for region, result in results.items()
    ]
    _table(console, ("region", "what it has"), rows)
    found = {result.number for result in results.values() if isinstance(result, Latest)}
    if len(found) > 1:
        console.print(
            "The numbers differ: Lambda counts each region's versions by itself, and a region "
            "that has the content keeps its number."
        )


def _failed(words: str) -> str:
    return f"failed: {words}" if isinstance(words, Failed) else words


def _table(console: Console, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows`; unlike rich's own tables it never folds a cell: ARNs are to be copied."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        console.print("  ".join([*cells, line[-1]]), markup=False, soft_wrap=True)
