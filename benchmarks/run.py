"""The whole run: all ways in turn, round by round, so that a busy machine is busy for all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from benchmarks import measures
from benchmarks.figures import Row, Target
from benchmarks.measures import BARE, FASTAPI, Counts
from benchmarks.ways import ADAPTERS, ASYNCIO, BOOTSTRAP, FLOOR, MANGUM, Site

PARTS = ("warm", "start", "answer", "stream", "memory")


def rows(site: Site, counts: Counts, parts: Iterable[str] = PARTS) -> list[Row]:
    """Measure `parts`, in the order given. Raises `BenchmarkError`."""
    measured = {
        "warm": _warm,
        "start": _start,
        "answer": _answer,
        "stream": _stream,
        "memory": _memory,
    }
    return [row for part in parts for row in measured[part](site, counts)]


def alternate(
    what: str, ways: Iterable[str], rounds: int, measure: Callable[[str], tuple[float, ...]]
) -> list[dict[str, list[float]]]:
    """Measure every way in each round; for each value of `measure`, the figures by way."""
    ways = tuple(ways)
    found: dict[str, list[tuple[float, ...]]] = {way: [] for way in ways}
    for number in range(rounds):
        print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr)
        for way in ways:
            found[way].append(measure(way))
    values = range(len(found[ways[0]][0]))
    return [{way: [each[n] for each in found[way]] for way in ways} for n in values]


def _warm(site: Site, counts: Counts) -> list[Row]:
    both = [
        alternate(
            f"warm, {name}",
            (FLOOR, *ADAPTERS),
            counts.rounds,
            lambda way, app=app: (measures.warm(site, way, app, counts),),  # type: ignore[misc]
        )[0]
        for name, app in (("bare", BARE), ("FastAPI", FASTAPI))
    ]
    what = "CPU per warm invocation"
    return [
        Row(f"{what}, bare app", "µs", both[0], Target(0.40, MANGUM)),
        Row(f"{what}, FastAPI", "µs", both[1], Target(0.50, MANGUM)),
    ]


def _start(site: Site, counts: Counts) -> list[Row]:
    ways = (FLOOR, ASYNCIO, *ADAPTERS)
    for way in ways:  # not counted: fills the file cache, and writes bytecode that is missing
        measures.start(site, way)
    cpu, wall = alternate("start", ways, counts.starts, lambda way: measures.start(site, way))
    found = []
    for name, figures in (("CPU", cpu), ("time", wall)):
        what = f"{name} from start to first /next, bare app"
        beside = {**figures, FLOOR: figures[ASYNCIO]}
        found += [
            Row(what, "ms", figures, Target(0.80, MANGUM)),
            Row(f"the same, floor is `{ASYNCIO}`", "ms", beside, Target(1.15, ASYNCIO)),
        ]
    return found


def _answer(site: Site, counts: Counts) -> list[Row]:
    (figures,) = alternate(
        "answer", ADAPTERS, counts.few, lambda way: (measures.answer_delay(site, way, counts),)
    )
    return [Row("answer before a 300 ms background task", "ms", figures, Target(10))]


def _stream(site: Site, counts: Counts) -> list[Row]:
    (figures,) = alternate(
        "stream", ADAPTERS, counts.few, lambda way: (measures.first_byte(site, way, counts),)
    )
    return [Row("first byte of a 160 ms stream", "ms", figures, Target(5))]


def _memory(site: Site, counts: Counts) -> list[Row]:
    before, peak = alternate("memory", ADAPTERS, counts.few, lambda way: measures.memory(site, way))
    return [
        Row("memory before the first invocation", "MiB", before),
        Row("peak memory, 6 MB echo", "MiB", peak),
    ]


def layer_row(size: int) -> Row:
    """The row of the layer's size in bytes."""
    return Row("layer, zipped, all minors", "KB", {BOOTSTRAP: [size / 1000]}, Target(400))
