"""The pictures of docs/charts: drawn of what a run writes, and whole SVG."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks import charts
from benchmarks.figures import Row
from benchmarks.ways import BOOTSTRAP, FLOOR, MANGUM, UVLOOP

ROWS = {
    "CPU from start to first /next, bare app": {FLOOR: 20.0, MANGUM: 60.0, BOOTSTRAP: 50.0},
    "CPU from start to the end of the first answer, FastAPI": {MANGUM: 200.0, BOOTSTRAP: 180.0},
    "CPU of the first request, FastAPI": {MANGUM: 2.0, BOOTSTRAP: 1.0},
    "first byte of a 160 ms stream": {MANGUM: 160.0, BOOTSTRAP: 0.1},
    "last byte of a 160 ms stream": {MANGUM: 160.0, BOOTSTRAP: 161.0},
} | {
    f"CPU per warm invocation, {name}": {MANGUM: 300.0, BOOTSTRAP: 100.0, UVLOOP: 90.0}
    for name in ("bare app", "FastAPI", "Django")
}


def rows() -> dict[str, Row]:
    figures = {what: {way: [n, n, n] for way, n in each.items()} for what, each in ROWS.items()}
    return {what: Row(what, "ms", each) for what, each in figures.items()}


def texts_of(picture: str) -> list[str]:
    tree = ET.fromstring(picture)
    style = "".join(tree.itertext())
    assert "prefers-color-scheme: dark" in style
    return [text.text or "" for text in tree.iter("{http://www.w3.org/2000/svg}text")]


def widths_of(picture: str) -> list[float]:
    rects = ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect")
    return [float(rect.get("width", 0)) for rect in rects if rect.get("height") == str(charts.BAR)]


def test_a_cold_start_is_a_stack_of_its_phases() -> None:
    picture = charts.cold_start(rows())
    assert "the application's import" in texts_of(picture)
    mangum, ours = widths_of(picture)[:4], widths_of(picture)[4:]
    assert sum(ours) / sum(mangum) == pytest.approx(0.9, abs=0.01)
    assert mangum[0] == ours[0], "Python itself is the same for both"


def test_warm_invocations_are_drawn_for_each_way_that_was_measured() -> None:
    texts = texts_of(charts.warm(rows()))
    assert texts.count(MANGUM) == texts.count(UVLOOP) == 3
    assert texts.count("0.33 (0.33 to 0.33)") == 3


def test_a_stream_begins_where_its_first_byte_arrives() -> None:
    picture = charts.stream(rows())
    assert "first byte at 0.00" in texts_of(picture)
    mangum, ours = widths_of(picture)
    assert mangum < 2 < 490 < ours


def test_memory_is_drawn_for_as_many_slots_as_were_measured() -> None:
    managed = {MANGUM: {"1": [20.0, 30.0]}, BOOTSTRAP: {"1": [20.0, 25.0], "256": [900.0, 60.0]}}
    texts = texts_of(charts.memory(managed))
    assert f"{BOOTSTRAP}: 2.0" in texts
    assert f"{MANGUM}: 1.0" in texts
