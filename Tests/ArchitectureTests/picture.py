#!/usr/bin/env python3
"""Draws the house of floors.py, with what Package.swift says that each room stands on: docs/architecture.svg.

Usage: picture.py FILE
"""

import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import fences
import floors
import package

COLUMN, COLUMNS, GAP = 72, 12, 18
LEFT, TOP, RIGHT = 76, 64, 24
BAND = 36  # between two floors: the arrows' words stand here
LINE = 16
WIDTH = LEFT + COLUMN * COLUMNS - GAP + RIGHT

STYLE = """\
    text { font-family: Helvetica, Arial, sans-serif; font-size: 12px; fill: #555 }
    .room { fill: #f4efe6; stroke: #7a6a55; stroke-width: 1.5 }
    .client { fill: #e6eef4; stroke: #55687a; stroke-width: 1.5 }
    .title { font-weight: bold; font-size: 18px; fill: #333 }
    .name { font-weight: bold; font-size: 14px; fill: #333 }
    .base { font-size: 11px; fill: #8a7a62 }
    .floor { fill: #999 }
    .header { stroke: #333; stroke-width: 2 }
    .call { fill: none; stroke: #b5542a; stroke-width: 2; marker-end: url(#call) }
    .back { fill: none; stroke: #2a7ab5; stroke-width: 2; stroke-dasharray: 6 4; marker-end: url(#back) }"""


class Box(NamedTuple):
    """A room or a guest at its place."""

    room: floors.Room
    is_client: bool
    floor: int
    left: float
    right: float
    top: float
    bottom: float
    words: list
    base: list


def draw(targets, house=floors.HOUSE, way=floors.WAY):
    """The image as SVG.
    - targets: name -> package.Target.
    """
    boxes, header, height = _build(targets, house)
    parts = [_floor_number(floor.number, [box for box in boxes if box.floor == index])
             for index, floor in enumerate(house)]
    parts += [_header_line(header)] + [_drawn(box) for box in boxes] + _arrows(boxes, targets, way) + _legend()
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "  <!-- Drawn by `make architecture` from Tests/ArchitectureTests/floors.py and Package.swift. -->",
        "  <title>Rooms, floors and the way of a request</title>",
        f"  <style>\n{STYLE}\n  </style>",
        "  <defs>", _tip("call", "#b5542a"), _tip("back", "#2a7ab5"), "  </defs>",
        f'  <rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *parts, "</svg>", ""])


def _build(targets, house):
    """The boxes, where the header's line is, and where the house ends."""
    boxes, top, header = [], TOP, 0
    for index, floor in enumerate(house):
        if index and house[index - 1].is_above_the_header and not floor.is_above_the_header:
            header = top - BAND / 2 + 4
            top += 8
        places = _places(floor)
        texts = [(_wrapped(room.words, right - left, 12), _wrapped(_base(room, targets, house), right - left, 11))
                 for room, left, right in places]
        bottom = top + 34 + LINE * max(len(words) + len(base) for words, base in texts)
        boxes += [Box(room, floor.is_above_the_header, index, left, right, top, bottom, words, base)
                  for (room, left, right), (words, base) in zip(places, texts)]
        top = bottom + BAND
    return boxes, header, bottom + 20


def _places(floor):
    """(room, left, right) of a floor's rooms: those without a width share what the others leave."""
    free = COLUMNS - sum(room.width for room in floor.rooms)
    share = free / max(1, sum(not room.width for room in floor.rooms))
    column, places = 0, []
    for room in floor.rooms:
        width = room.width or share
        if not isinstance(room, floors.Gap):
            places.append((room, LEFT + column * COLUMN, LEFT + (column + width) * COLUMN - GAP))
        column += width
    return places


def _base(room, targets, house):
    """What the room's targets stand on, in words: other rooms from the top of the house, then C modules and packages."""
    if isinstance(room, floors.Guest):
        return ""
    names = set()
    for target in targets.values():
        if fnmatchcase(target.name, room.name):
            names |= {place[1].name if (place := fences.place(name, house)) else name for name in target.dependencies}
    order = [other.name for floor in house for other in floor.rooms if not isinstance(other, floors.Gap)]
    rooms = [name for name in order if name in names]
    others = sorted(names - set(rooms))
    short = [name.removeprefix("Dormouse").replace("*", "…") for name in rooms]
    return "on " + ", ".join(short + others)


def _wrapped(words, width, size):
    """The lines of a text in a box of `width`. No font is asked: letters are taken to be 0.52 of their size wide."""
    most = int((width - 2 * 16) / (size * 0.52))
    lines = []
    for word in words.split():
        if lines and len(lines[-1]) + 1 + len(word) <= most:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _drawn(box):
    lines = [_text(box.left + 16, box.top + 24, "name", box.room.name.replace("*", "…"))]
    y = box.top + 24
    for style, texts in (("", box.words), ("base", box.base)):
        for text in texts:
            y += LINE
            lines.append(_text(box.left + 16, y, style, text))
    rectangle = (
        f'<rect class="{"client" if box.is_client else "room"}" x="{_number(box.left)}" y="{_number(box.top)}"'
        f' width="{_number(box.right - box.left)}" height="{_number(box.bottom - box.top)}" rx="6"/>')
    return "\n".join(["  <g>", "    " + rectangle] + ["    " + line for line in lines] + ["  </g>"])


def _floor_number(number, boxes):
    return "  " + _text(16, (boxes[0].top + boxes[0].bottom) / 2 + 4, "floor", f"floor {number}")


def _header_line(y):
    line = f'<line class="header" x1="{LEFT - 12}" y1="{_number(y)}" x2="{WIDTH - 112}" y2="{_number(y)}"/>'
    return f"  {line}\n  " + _text(WIDTH - 106, y + 4, "name", floors.HEADER)


def _legend():
    x = LEFT + 8 * COLUMN
    return ["  " + _text(16, 34, "title", "Rooms, floors and the way of a request"),
            f'  <path class="call" d="M{x} 29h34"/>', "  " + _text(x + 44, 33, "", "a call"),
            f'  <path class="back" d="M{x + 100} 29h34"/>', "  " + _text(x + 144, 33, "", "what comes back")]


# The way of a request


def _arrows(boxes, targets, way):
    by_name = {box.room.name: box for box in boxes}
    steps = {}  # the upper and the lower room -> their steps with numbers
    for number, step in enumerate(way, 1):
        start, end = by_name[step.start], by_name[step.end]
        upper, lower = sorted((start, end), key=lambda box: box.floor)
        _check_dependency(upper.room.name, lower.room.name, targets)
        steps.setdefault((upper.room.name, lower.room.name), []).append((number, step))
    drawn = []
    for (upper, lower), numbered in steps.items():
        upper, lower = by_name[upper], by_name[lower]
        left, right = _free(upper, lower, boxes)
        for index, (number, step) in enumerate(numbered):
            x = left + (right - left) * (2 * index + 1) / (2 * len(numbered))
            drawn.append(_arrow(x, upper, lower, step.start == upper.room.name, f"{number} {step.words}".strip()))
    return drawn


def _check_dependency(upper, lower, targets):
    """A request can go nowhere but along a dependency, or through a header to what defines its functions."""
    dependencies = targets[upper].dependencies
    if lower not in dependencies | {floors.DEFINED.get(name) for name in dependencies}:
        raise ValueError(f"floors.py: the way of a request goes from {upper} to {lower}, on which it does not stand")


def _free(upper, lower, boxes):
    """The widest span of x in which nothing stands between the two."""
    left, right = max(upper.left, lower.left), min(upper.right, lower.right)
    between = sorted((box.left, box.right) for box in boxes if upper.floor < box.floor < lower.floor)
    spans = []
    for start, end in between:
        spans.append((left, min(start, right)))
        left = max(left, end)
    span = max(spans + [(left, right)], key=lambda span: span[1] - span[0])
    if span[1] - span[0] < GAP / 2:
        raise ValueError(f"floors.py: {upper.room.name} and {lower.room.name} have no straight way to each other")
    return span


def _arrow(x, upper, lower, is_call, words):
    start, end = (upper.bottom, lower.top - 3) if is_call else (lower.top, upper.bottom + 3)
    path = f'<path class="{"call" if is_call else "back"}" d="M{_number(x)} {_number(start)}V{_number(end)}"/>'
    return f"  {path}\n  " + _text(x + 7, lower.top - BAND / 2 + 4, "", words)


# SVG


def _tip(name, color):
    return (
        f'    <marker id="{name}" markerWidth="9" markerHeight="9" refX="6" refY="4" orient="auto"'
        f' markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="{color}"/></marker>')


def _text(x, y, style, text):
    attribute = f' class="{style}"' if style else ""
    return f'<text{attribute} x="{_number(x)}" y="{_number(y)}">{escape(text)}</text>'


def _number(value):
    """The same digits everywhere."""
    return f"{round(value, 1):g}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(package.targets()), encoding="utf-8")
