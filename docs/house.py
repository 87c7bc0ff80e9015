"""Draws docs/house.svg from the table of rooms in docs/design.md: `python docs/house.py`.

The picture cannot be wrong, because nobody draws it: tests/test_architecture.py compares the table
with the code, and the picture with the table.

- A room stands one floor below the lowest room that imports it.
- Of the arrows, those are left out that others imply (the transitive reduction), and those to the
  ground floor, which is there for everybody.
- What a room below the line imports from above it is written into its box.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PAGE = HERE / "design.md"
PICTURE = HERE / "house.svg"

ROW = re.compile(
    r"^\| (?:`(?P<name>\w+)`|\*below.*\*) \|(?P<what>[^|]*)\|(?P<imports>[^|]*)\|$", re.MULTILINE
)


class Room(NamedTuple):
    """A row of the table."""

    name: str
    what: str
    """What lives there, as the table says it."""
    imports: frozenset[str]
    """The names of the rooms that it may import."""
    below: bool
    """Whether it stands below the line: not in the layer."""


def table(page: str) -> dict[str, Room]:
    """The rooms by name, in the table's order."""
    rooms: dict[str, Room] = {}
    below = False
    for row in ROW.finditer(page):
        if name := row["name"]:
            imports = frozenset(re.findall(r"`(\w+)`", row["imports"]))
            rooms[name] = Room(name, row["what"].strip(), imports, below)
        else:
            below = True
    return rooms


def floors(rooms: Iterable[Room]) -> list[list[Room]]:
    """The rooms from the ground up: each above all that it imports, and as low as its users."""
    by_name = {room.name: room for room in rooms}
    known = {name: room.imports & by_name.keys() for name, room in by_name.items()}
    order = list(TopologicalSorter(known).static_order())
    floor: dict[str, int] = {}
    for name in order:
        floor[name] = 1 + max((floor[other] for other in known[name]), default=-1)
    for name in reversed(order):
        floor[name] = min((floor[o] - 1 for o in order if name in known[o]), default=floor[name])
    found: list[list[Room]] = [[] for _ in range(max(floor.values()) + 1)]
    for name in by_name:
        found[floor[name]].append(by_name[name])
    return found


def arrows(rooms: Iterable[Room], ground: Iterable[Room] = ()) -> list[tuple[str, str]]:
    """From each room to what it imports, but for the ground and for what another arrow implies."""
    by_name = {room.name: room for room in rooms}
    known = {
        name: room.imports & by_name.keys() - {room.name for room in ground}
        for name, room in by_name.items()
    }
    reach: dict[str, frozenset[str]] = {}
    for name in TopologicalSorter(known).static_order():
        reach[name] = known[name].union(*(reach[other] for other in known[name]))
    return [
        (name, other)
        for name in by_name
        for other in sorted(known[name] - frozenset().union(*(reach[o] for o in known[name])))
    ]


# The drawing, in SVG's pixels

MARGIN, BOX, BESIDE, LINE, GAP = 24, 172, 16, 16, 56
"""The margin, a box's width, between two boxes, a text line's height, between two floors."""

LIGHT = """
  .paper { fill: #ffffff } .what { fill: #1c2530 } .name { fill: #1c2530 } .note { fill: #55606c }
  .box { fill: #e8f1fb; stroke: #4a7ab5 } .ground { fill: #eef3e6; stroke: #6f8f3f }
  .outside { fill: #f3efe8; stroke: #a08050 } .sign { fill: #b3541e } .line { stroke: #b3541e }
  .arrow { stroke: #5f6b78 } .head { fill: #5f6b78 }
"""
DARK = """
  .paper { fill: #10161d } .what { fill: #e8edf2 } .name { fill: #e8edf2 } .note { fill: #a4b0bc }
  .box { fill: #1c3148; stroke: #6aa0dd } .ground { fill: #28341a; stroke: #9dbb68 }
  .outside { fill: #3a3122; stroke: #cdaa74 } .sign { fill: #f0935a } .line { stroke: #f0935a }
  .arrow { stroke: #93a1af } .head { fill: #93a1af }
"""
STYLE = f"""{LIGHT}
  text {{ font: 12.5px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif }}
  .name {{ font: bold 15px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }}
  .sign {{ font-weight: bold }} .line {{ stroke-width: 2; stroke-dasharray: 9 6 }}
  .arrow {{ fill: none; stroke-width: 1.3 }}
@media (prefers-color-scheme: dark) {{{DARK}}}
"""


class Box(NamedTuple):
    """A room with its place."""

    x: float
    """Its middle."""
    top: float
    height: float


def lines_of(room: Room, rooms: dict[str, Room]) -> list[str]:
    """What a box says: the first clause of the table's cell, and what crosses the line."""
    what = re.split(r"[;:.] |[;:.]$|[;:]", room.what.replace("`", ""), maxsplit=1)[0]
    lines = textwrap.wrap(what, 24)
    # What the room's other imports from above the line imply is left out, as with arrows.
    inside = [other for other in rooms.values() if not other.below]
    across = {o for name, o in arrows([*inside, room]) if name == room.name} if room.below else ()
    return lines + [f"\N{UPWARDS ARROW} {name}" for name in sorted(across)]


def arranged(
    storeys: list[list[Room]], pairs: list[tuple[str, str]], width: int
) -> list[list[Room]]:
    """The floors from the top down, each room as near as can be to those that import it."""
    place: dict[str, float] = {}

    def wanted(room: Room) -> float:
        users = [place[above] for above, under in pairs if under == room.name and above in place]
        return sum(users) / len(users) if users else width / 2

    found = []
    for storey in reversed(storeys):
        found.append(sorted(storey, key=wanted))
        place |= {r.name: x for r, x in zip(found[-1], spread(len(storey), width), strict=True)}
    return found


def spread(number: int, width: int) -> list[float]:
    """The middles of as many boxes, at equal distances."""
    step = (width - 2 * MARGIN) / number
    return [MARGIN + step * (index + 0.5) for index in range(number)]


def draw(rooms: dict[str, Room]) -> str:
    """The picture, as the text of an SVG."""
    inside = floors(room for room in rooms.values() if not room.below)
    outside = floors(room for room in rooms.values() if room.below)
    pairs = arrows((r for floor in inside for r in floor), ground=inside[0])
    pairs += arrows(r for floor in outside for r in floor)
    width = 2 * MARGIN + (BOX + BESIDE) * max(map(len, [*inside, *outside]))
    boxes: dict[str, Box] = {}
    shapes: list[str] = []
    top = MARGIN + LINE * 1.5
    note = "Arrows lead from a room to the rooms that it imports. Implied arrows are left out."
    shapes.append(text(MARGIN, MARGIN + 8, note))
    for storeys in (inside, outside):
        if storeys is outside:
            top += 6
            shapes.append(f'<path class="line" d="M0 {top} H{width}"/>')
            sign = (
                "Below this line nothing is in the layer. \N{UPWARDS ARROW}: imported from above."
            )
            shapes.append(text(MARGIN, top + 22, sign, "sign"))
            top += 40
        for storey in arranged(storeys, pairs, width):
            height = max(32 + LINE * len(lines_of(room, rooms)) for room in storey)
            kind = "outside" if storeys is outside else "box"
            if storey and storey[0] in inside[0]:
                kind = "ground"
                note = (
                    "The ground floor: rooms of every floor import it. Arrows to it are left out."
                )
                shapes.append(text(MARGIN, top - 8, note))
            for room, x in zip(storey, spread(len(storey), width), strict=True):
                boxes[room.name] = Box(x, top, height)
                shapes.append(box(room, boxes[room.name], kind, lines_of(room, rooms)))
            top += height + GAP
        top -= GAP - MARGIN
    drawn = []
    for name, start in boxes.items():  # the ends of a room's arrows stand side by side
        ends = sorted((boxes[under] for above, under in pairs if above == name), key=lambda b: b.x)
        for index, end in enumerate(ends):
            drawn.append(arrow(start, end, shift=16 * (index - (len(ends) - 1) / 2)))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}" role="img">\n'
        "<title>The rooms of Lamella, and what each of them imports</title>\n"
        f"<style>{STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 Z"/></marker></defs>\n'
        f'<rect class="paper" width="{width}" height="{top:.0f}" rx="10"/>\n'
    )
    return head + "\n".join([*drawn, *shapes]) + "\n</svg>\n"


def text(x: float, y: float, words: str, kind: str = "note", anchor: str = "start") -> str:
    """One line of text."""
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def box(room: Room, place: Box, kind: str, lines: list[str]) -> str:
    """A room: its name, and the lines below it."""
    x, top, height = place
    rect = (
        f'<rect class="{kind}" x="{x - BOX / 2:.0f}" y="{top:.0f}" width="{BOX}" '
        f'height="{height:.0f}" rx="6"/>'
    )
    words = [text(x, top + 20, room.name, "name", "middle")]
    words += [text(x, top + 38 + LINE * i, line, "what", "middle") for i, line in enumerate(lines)]
    return "\n".join([rect, *words])


def arrow(above: Box, under: Box, shift: float) -> str:
    """A curve that leaves a box downwards, `shift` beside its middle, and arrives from above."""
    left, start, end = above.x + shift, above.top + above.height, under.top - 1
    middle = (start + end) / 2
    return (
        f'<path class="arrow" marker-end="url(#head)" d="M{left:.0f} {start:.0f} '
        f'C{left:.0f} {middle:.0f} {under.x:.0f} {middle:.0f} {under.x:.0f} {end:.0f}"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(table(PAGE.read_text())))
