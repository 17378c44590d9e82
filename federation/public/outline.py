"""A small picture of where a space is: the departments around it, and a pin. SVG, no script."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import orjson

_FILE = Path(__file__).parents[2] / "shared" / "web" / "static" / "map" / "departments.topo.json"
WIDTH, HEIGHT = 420, 260
_DEGREES_UP = 0.5  # from the pin to the upper edge: some 55 km
_SEA, _LAND, _LINE, _INK, _PIN = "#e3edf1", "#faf7f2", "#a9b4ba", "#4b5563", "#0f766e"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Department:
    """``rings`` are of longitude and latitude in degrees; ``box`` is west, south, east, north."""

    name: str
    rings: tuple[tuple[Point, ...], ...]
    box: tuple[float, float, float, float]


@lru_cache(maxsize=1)
def departments() -> tuple[Department, ...]:
    topology = orjson.loads(_FILE.read_bytes())
    arcs = [_arc(arc, topology.get("transform")) for arc in topology["arcs"]]
    (layer,) = topology["objects"].values()
    return tuple(_department(geometry, arcs) for geometry in layer["geometries"])


def _arc(points: list[list[float]], transform: Any) -> list[Point]:
    """Read an arc: steps from one point to the next, where the file is quantised."""
    if transform is None:
        return [(x, y) for x, y in points]
    (scale_x, scale_y), (from_x, from_y) = transform["scale"], transform["translate"]
    found, x, y = [], 0.0, 0.0
    for step_x, step_y in points:
        x, y = x + step_x, y + step_y
        found.append((x * scale_x + from_x, y * scale_y + from_y))
    return found


def _department(geometry: Any, arcs: list[list[Point]]) -> Department:
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    rings = tuple(tuple(_ring(ring, arcs)) for polygon in polygons for ring in polygon)
    xs, ys = ([point[n] for ring in rings for point in ring] for n in (0, 1))
    return Department(geometry["properties"]["name"], rings, (min(xs), min(ys), max(xs), max(ys)))


def _ring(numbers: list[int], arcs: list[list[Point]]) -> Iterator[Point]:
    """Yield the points of a ring; an arc whose number is negative is walked backwards."""
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        yield from arc[1:]


def around(latitude: float, longitude: float) -> list[Department]:
    """Return the departments that a picture around this place shows; none where there are none."""
    up = _DEGREES_UP
    beside = up * WIDTH / HEIGHT / max(math.cos(math.radians(latitude)), 0.01)
    west, east, south, north = (
        longitude - beside, longitude + beside, latitude - up, latitude + up,
    )  # fmt: skip
    return [
        each
        for each in departments()
        if each.box[0] < east and each.box[2] > west and each.box[1] < north and each.box[3] > south
    ]


def picture(latitude: float, longitude: float, label: str) -> str:
    """Return the picture; ``label`` says in words what it shows."""
    scale = HEIGHT / 2 / _DEGREES_UP
    flat = math.cos(math.radians(latitude))

    def place(point: Point) -> Point:
        return (
            WIDTH / 2 + (point[0] - longitude) * flat * scale,
            HEIGHT / 2 - (point[1] - latitude) * scale,
        )

    shown = around(latitude, longitude)
    paths = "".join(
        "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in map(place, ring)) + "Z"
        for each in shown
        for ring in each.rings
    )
    names = "".join(_name(each.name, *place(_middle(each))) for each in shown)
    x, y = WIDTH / 2, HEIGHT / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        f' height="{HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{_SEA}"/>'
        f'<path d="{paths}" fill="{_LAND}" stroke="{_LINE}" stroke-linejoin="round"/>{names}'
        f'<path d="M{x} {y}c-3-9-13-13-13-23a13 13 0 0 1 26 0c0 10-10 14-13 23z" fill="{_PIN}"'
        ' stroke="#fff" stroke-width="2"/>'
        f'<circle cx="{x}" cy="{y - 23}" r="4.5" fill="#fff"/></svg>'
    )


def _middle(each: Department) -> Point:
    west, south, east, north = each.box
    return (west + east) / 2, (south + north) / 2


def _name(name: str, x: float, y: float) -> str:
    """Return a department's name; none near the edges, nor under the pin."""
    if not (45 < x < WIDTH - 45 and 12 < y < HEIGHT - 6):
        return ""
    if abs(x - WIDTH / 2) < 60 and -40 < y - HEIGHT / 2 < 18:
        return ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" font-family="sans-serif"'
        f' font-size="12" fill="{_INK}">{escape(name)}</text>'
    )
