"""The whole run: all ways in turn, round by round, so that a busy machine is busy for all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from benchmarks import measures, throttle
from benchmarks.figures import Row, Target
from benchmarks.measures import BARE, DJANGO, FASTAPI, SQLALCHEMY, Counts
from benchmarks.site import can_import
from benchmarks.ways import ASYNCIO, BOOTSTRAP, FLOOR, HANDLER, MANGUM, SERVE, Site
from layer import budget

PARTS = ("warm", "bodies", "start", "first", "warmup", "answer", "stream", "flood", "memory")
"""In the table's order."""


def rows(site: Site, counts: Counts, parts: Iterable[str] = PARTS) -> list[Row]:
    """Measure `parts`, in the order given. Raises `BenchmarkError`."""
    measured = {
        "warm": _warm,
        "bodies": _bodies,
        "start": _start,
        "first": _first,
        "warmup": _warmup,
        "answer": _answer,
        "stream": _stream,
        "flood": _flood,
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


WARM = (
    ("bare app", BARE, "plain", 0.40),
    ("FastAPI", FASTAPI, "plain", 0.50),
    ("Django", DJANGO, "plain", None),
    ("bare app, 8 KB of headers", BARE, "8 KB", None),
    ("bare app, 1,000 headers", BARE, "1,000", None),
)
"""Warm rows: their name, application and headers, and the target beside Mangum."""


def _warm(site: Site, counts: Counts) -> list[Row]:
    found = []
    for name, app, headers, limit in WARM:
        event = measures.request(app, headers)

        def measure(way: str, app: str = app, event: bytes = event) -> tuple[float]:
            return (measures.warm(site, way, app, counts, event),)

        ways = (FLOOR, *site.adapters, *site.loops)
        (figures,) = alternate(f"warm, {name}", ways, counts.rounds, measure)
        target = Target(limit, MANGUM) if limit else None
        found.append(Row(f"CPU per warm invocation, {name}", "µs", figures, target))
    return found


def _bodies(site: Site, counts: Counts) -> list[Row]:
    found = []
    for name, size in (("1 KB", 1_000), ("100 KB", 100_000), ("1 MB", 1_000_000)):

        def measure(way: str, size: int = size) -> tuple[float]:
            return (measures.echo(site, way, size, counts),)

        (figures,) = alternate(f"echo, {name}", site.adapters, counts.few, measure)
        found.append(Row(f"CPU per echo of {name}", "µs", figures))
    return found


def _start(site: Site, counts: Counts) -> list[Row]:
    ways = (FLOOR, ASYNCIO, *site.adapters)
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


def _first(site: Site, counts: Counts) -> list[Row]:
    found = []
    for name, app in (("bare app", BARE), ("FastAPI", FASTAPI), ("Django", DJANGO)):

        def measure(way: str, app: str = app) -> tuple[float, float, float]:
            return measures.first_answer(site, way, app)

        values = alternate(f"first answer, {name}", site.adapters, counts.firsts, measure)
        whole, first, second = values
        found += [
            Row(f"CPU from start to the end of the first answer, {name}", "ms", whole),
            Row(f"CPU of the first request, {name}", "ms", first),
            Row(f"CPU of the second request, {name}", "ms", second),
        ]
    return found


def _warmup(site: Site, counts: Counts) -> list[Row]:
    found = []
    for name, app in (("FastAPI", FASTAPI), ("Django", DJANGO), ("SQLAlchemy", SQLALCHEMY)):
        if app == SQLALCHEMY and not can_import(site, "sqlalchemy"):
            print("SQLAlchemy is left out: the interpreter lacks it", file=sys.stderr)
            continue

        def ratio(way: str, app: str = app) -> tuple[float]:
            _, first, second = measures.first_answer(site, way, app, **measures.WARMUP)
            return (first / second,)

        def clock(way: str, app: str = app) -> tuple[float]:
            plain = measures.first_on_the_clock(site, way, app)
            return (measures.first_on_the_clock(site, way, app, **measures.WARMUP) / plain,)

        ours = (BOOTSTRAP, SERVE, HANDLER)
        # Of two short requests, a ratio spreads more than the others do.
        (figures,) = alternate(f"warm-up, {name}", ours, counts.starts, ratio)
        what = f"CPU of the first request in that of the second, ASGI_WARMUP, {name}"
        found.append(Row(what, "times", figures, Target(1.3)))
        if throttle.can_throttle():
            (figures,) = alternate(f"clock, {name}", (BOOTSTRAP,), counts.firsts, clock)
            what = f"time of the first request on 0.07 of a CPU, ASGI_WARMUP in without, {name}"
            found.append(Row(what, "times", figures))
    return found


def _answer(site: Site, counts: Counts) -> list[Row]:
    (figures,) = alternate(
        "answer", site.adapters, counts.few, lambda way: (measures.answer_delay(site, way, counts),)
    )
    return [Row("answer before a 300 ms background task", "ms", figures, Target(10))]


def _stream(site: Site, counts: Counts) -> list[Row]:
    first, last = alternate(
        "stream", site.adapters, counts.few, lambda way: measures.stream(site, way, counts)
    )
    return [
        Row("first byte of a 160 ms stream", "ms", first, Target(5)),
        Row("last byte of a 160 ms stream", "ms", last),
    ]


def _flood(site: Site, counts: Counts) -> list[Row]:
    ways = [way for way in site.adapters if way not in (MANGUM, HANDLER)]  # these cannot stream
    (figures,) = alternate("flood", ways, counts.few, lambda way: (measures.flood(site, way),))
    return [Row("CPU of a 100 MB stream", "ms", figures)]


def _memory(site: Site, counts: Counts) -> list[Row]:
    before, peak = alternate(
        "memory", site.adapters, counts.few, lambda way: measures.memory(site, way)
    )
    return [
        Row("memory before the first invocation", "MiB", before),
        Row("peak memory, 4.6 MB echo", "MiB", peak),
    ]


def layer_row(size: int) -> Row:
    """The row of the layer's size in bytes."""
    limit = budget.load().zip / 1000
    return Row("layer, zipped, all minors", "KB", {BOOTSTRAP: [size / 1000]}, Target(limit))
