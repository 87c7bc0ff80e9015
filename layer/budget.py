"""The layer's size limits: layer/budget.toml, and a check of a zip file against it."""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from layer import BuildError

FILE = Path(__file__).with_name("budget.toml")

_BYTECODE = re.compile(r"\.cpython-(\d)(\d+)\.pyc$")


class Budget(NamedTuple):
    """Limits in bytes, `files` a number; budget.toml says of what."""

    zip: int
    unpacked: int
    minor: int
    start: int
    files: int


class Sizes(NamedTuple):
    """What a zip takes, in bytes; `minors` is each minor's bytecode as it is compressed."""

    zip: int
    unpacked: int
    minors: dict[str, int]


def load(path: Path = FILE) -> Budget:
    """Return the limits that `path` states.

    Raises BuildError, naming the table, when a limit is missing or no whole number.
    """
    tables = tomllib.loads(path.read_text())
    limits = {name: tables.get(name, {}).get("limit") for name in Budget._fields}
    for name, limit in limits.items():
        if not isinstance(limit, int):
            raise BuildError(
                f"{path} needs [{name}] with a line like limit = 1_000, not {limit!r}."
            )
    return Budget(**limits)


def measure(path: Path) -> Sizes:
    """Return the sizes of the layer's zip at `path`."""
    minors: Counter[str] = Counter()
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    for entry in entries:
        if found := _BYTECODE.search(entry.filename):
            minors[f"{found[1]}.{found[2]}"] += entry.compress_size
    return Sizes(path.stat().st_size, sum(entry.file_size for entry in entries), dict(minors))


def check(path: Path, budget: Budget) -> Sizes:
    """Return the sizes of the layer's zip at `path`.

    Raises BuildError with every limit that is broken and the largest files; the zip stays
    there to be looked at.
    """
    sizes = measure(path)
    amounts = [(str(path), sizes.zip, budget.zip), ("unpacked it", sizes.unpacked, budget.unpacked)]
    amounts += [(f"bytecode for {name}", size, budget.minor) for name, size in sizes.minors.items()]
    broken = [
        f"{what} has {size:,} bytes, the limit is {limit:,}."
        for what, size, limit in amounts
        if size > limit
    ]
    if broken:
        advice = "Make it smaller, or raise the limit in layer/budget.toml. The largest files:"
        raise BuildError("\n".join([*broken, advice, *_largest(path)]))
    return sizes


def _largest(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: -entry.compress_size)
    return [f"{entry.compress_size:9,}  {entry.filename}" for entry in entries[:10]]
