"""The figures as pictures: `python -m benchmarks.charts RESULTS MANAGED docs/charts`.

RESULTS and MANAGED are what `--json` of the two programs wrote. All lengths are ratios of one run.
Plain SVG, whose colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.figures import Row, spread
from benchmarks.ways import ADAPTERS, BOOTSTRAP, FLOOR, MANGUM, UVLOOP

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 860, 170, 190, 20, 10, 76
"""In SVG's pixels: the picture, the names, the labels, a bar, between two bars, the title."""

LIGHT = """
  .paper { fill: #ffffff } text { fill: #1c2530 } .note { fill: #55606c }
  .c0 { fill: #8a97a6 } .c1 { fill: #4a7ab5 } .c2 { fill: #b3541e } .c3 { fill: #6f8f3f }
  .line { stroke: #c6ced6 } .l0 { stroke: #8a97a6 } .l1 { stroke: #4a7ab5 }
"""
DARK = """
  .paper { fill: #10161d } text { fill: #e8edf2 } .note { fill: #a4b0bc }
  .c0 { fill: #6d7a88 } .c1 { fill: #6aa0dd } .c2 { fill: #f0935a } .c3 { fill: #9dbb68 }
  .line { stroke: #38434f } .l0 { stroke: #8d99a6 } .l1 { stroke: #6aa0dd }
"""
STYLE = f"""{LIGHT}
  text {{ font: 13px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif }}
  .title {{ font-size: 16px; font-weight: bold }} .end {{ text-anchor: end }}
  .line, .l0, .l1 {{ fill: none; stroke-width: 1 }} .l0, .l1 {{ stroke-width: 2.5 }}
@media (prefers-color-scheme: dark) {{{DARK}}}
"""


class Bar(NamedTuple):
    """A name, its segments (what the picture's legend says of them, in order), and a label."""

    name: str
    parts: Sequence[float]
    label: str
    empty: float = 0.0
    """Where the first segment begins."""
    color: int | None = None
    """Of all its segments; else each has its own."""


def bars(title: str, note: str, legend: Sequence[str], rows: Sequence[Bar]) -> str:
    """Horizontal bars, each a stack of segments."""
    scale = (WIDTH - LEFT - RIGHT) / max(bar.empty + sum(bar.parts) for bar in rows)
    drawn, y = [], float(TOP)
    for bar in rows:
        drawn.append(_text(LEFT - 10, y + 15, bar.name, "end"))
        x = LEFT + bar.empty * scale
        for number, part in enumerate(bar.parts):
            color = number if bar.color is None else bar.color
            width = max(part * scale, 1)
            drawn.append(
                f'<rect class="c{color}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                f'height="{BAR}"/>'
            )
            x += part * scale
        drawn.append(_text(x + 8, y + 15, bar.label, "note"))
        y += BAR + GAP
    return _picture(title, note, legend, drawn, y + 6)


def lines(title: str, note: str, xs: Sequence[int], ways: dict[str, dict[int, float]]) -> str:
    """One line for each way over `xs`; both axes are logarithmic."""
    height, right = 260, WIDTH - RIGHT
    top = max(max(points.values()) for points in ways.values())
    drawn = []

    def place(x: int, y: float) -> tuple[float, float]:
        across = math.log(x / xs[0]) / math.log(xs[-1] / xs[0])
        return LEFT + across * (right - LEFT), TOP + height * (1 - math.log(y / 0.5, top / 0.5))

    for value in (0.5, 1, 2, 4, 8, 16, 32, 64):
        if value <= top * 1.2:
            _, y = place(xs[0], value)
            drawn.append(f'<path class="line" d="M{LEFT} {y:.1f}H{right}"/>')
            drawn.append(_text(LEFT - 10, y + 4, f"{value:g}", "end"))
    for x in xs:
        drawn.append(_text(place(x, 1)[0] - 8, TOP + height + 22, f"{x}", "note"))
    for number, (way, points) in enumerate(ways.items()):
        places = [place(x, y) for x, y in points.items()]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        drawn.append(f'<path class="l{number}" d="M{path}"/>')
        drawn += [f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places]
        end_x, end_y = places[-1]
        drawn.append(_text(end_x + 10, end_y + 4, f"{way}: {list(points.values())[-1]:.1f}"))
    return _picture(title, note, (), drawn, TOP + height + 40)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _picture(
    title: str, note: str, legend: Sequence[str], drawn: Sequence[str], height: float
) -> str:
    keys, x = [], float(LEFT)
    for number, word in enumerate(legend):
        if not word:
            continue
        keys.append(
            f'<rect class="c{number}" x="{x:.1f}" y="{height:.1f}" width="12" height="12"/>'
        )
        keys.append(_text(x + 18, height + 11, word, "note"))
        x += 40 + 7.2 * len(word)
    height += 26 if legend else 0
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title><style>{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height:.0f}"/>',
            _text(24, 30, title, "title"),
            _text(24, 52, note, "note"),
            *drawn,
            *keys,
            "</svg>\n",
        )
    )


def cold_start(rows: dict[str, Row]) -> str:
    """FastAPI's cold start by phase, of Mangum's whole."""
    floor = rows["CPU from start to first /next, bare app"]
    whole = rows["CPU from start to the end of the first answer, FastAPI"]
    first = rows["CPU of the first request, FastAPI"]
    unit, python = median(whole.figures[MANGUM]), median(floor.figures[FLOOR])
    drawn = []
    for way in (way for way in ADAPTERS if way in whole.figures):
        bare, request = median(floor.figures[way]), median(first.figures[way])
        application = median(whole.figures[way]) - bare - request
        parts = [part / unit for part in (python, bare - python, application, request)]
        drawn.append(Bar(way, parts, spread(whole, way)))
    phases = ("Python itself", "adapter and runtime", "the application's import", "first request")
    title = "Cold start of a FastAPI application, by phase"
    return bars(title, "CPU to the end of the first answer; Mangum's is 1", phases, drawn)


def warm(rows: dict[str, Row]) -> str:
    """CPU of a warm invocation, for three applications."""
    drawn = []
    applications = ("bare app", "FastAPI", "Django")
    for number, name in enumerate(applications):
        row = rows[f"CPU per warm invocation, {name}"]
        for way in (way for way in (*ADAPTERS, UVLOOP) if way in row.figures):
            drawn.append(Bar(way, [row.ratio(way, MANGUM)], spread(row, way), color=number + 1))
    keys = ("", *applications)
    title = "CPU of a warm invocation"
    return bars(title, "Mangum's is 1; in brackets the quartiles of the rounds", keys, drawn)


def memory(managed: dict[str, dict[str, list[float]]]) -> str:
    """Memory of all processes against the number of requests at a time."""
    unit = managed[MANGUM]["1"][1]
    ways = {
        way: {int(slots): held / unit for slots, (_, held) in managed[way].items()}
        for way in (MANGUM, BOOTSTRAP)
    }
    title = "Memory against concurrency on managed instances"
    note = "All processes of one environment; Mangum's for one request at a time is 1"
    return lines(title, note, list(ways[BOOTSTRAP]), ways)


def stream(rows: dict[str, Row]) -> str:
    """When a client gets the bytes of an answer that the application sends in five pieces."""
    first, last = rows["first byte of a 160 ms stream"], rows["last byte of a 160 ms stream"]
    unit = median(last.figures[MANGUM])
    drawn = []
    for way in (way for way in ADAPTERS if way in first.figures):
        begin, end = (max(median(row.figures[way]) / unit, 0) for row in (first, last))
        drawn.append(Bar(way, [end - begin], f"first byte at {begin:.2f}", begin, 1))
    title = "When the bytes of a streamed answer arrive"
    return bars(title, "The application sends five pieces; Mangum's last byte is at 1", (), drawn)


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.charts", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("managed", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = json.loads(options.results.read_text())[0]
    rows = {row["what"]: Row(row["what"], row["unit"], row["figures"]) for row in report["rows"]}
    options.folder.mkdir(exist_ok=True)
    drawn = {
        "cold-start": cold_start(rows),
        "warm": warm(rows),
        "memory": memory(json.loads(options.managed.read_text())),
        "stream": stream(rows),
    }
    for name, picture in drawn.items():
        (options.folder / f"{name}.svg").write_text(picture)


if __name__ == "__main__":
    main()
