"""Many places on a map: those close to each other as one, with how many they are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from federation.search.index import Entry

MOST_ITEMS = 1000
WIDEST_ZOOM, CLOSEST_ZOOM = 0, 22
# The side of a cell, of the 256 pixels that the world has at zoom 0.
CELL_PIXELS = 64


class Cluster(NamedTuple):
    """How many there are, where their middle is, and the box that holds them (degrees)."""

    number: int
    latitude: float
    longitude: float
    box: tuple[float, float, float, float]


def cluster(placed: Sequence[Entry], zoom: int) -> tuple[list[Entry], list[Cluster]]:
    """Return which stand alone, and the clusters of the others: no more than ``MOST_ITEMS``.

    Few enough all stand alone. A zoom that makes too many cells is taken back until it does not.
    """
    if len(placed) <= MOST_ITEMS:
        return list(placed), []
    cells = _cells(placed, zoom)
    while len(cells) > MOST_ITEMS and zoom > WIDEST_ZOOM:
        zoom -= 1
        cells = _cells(placed, zoom)
    alone = [entries[0] for entries in cells if len(entries) == 1]
    return alone, [_as_one(entries) for entries in cells if len(entries) > 1]


def _cells(placed: Sequence[Entry], zoom: int) -> list[list[Entry]]:
    scale = 2**zoom * 256 / CELL_PIXELS
    cells: dict[tuple[int, int], list[Entry]] = {}
    for entry in placed:
        key = int(entry.x * scale), int(entry.y * scale)
        if key in cells:
            cells[key].append(entry)
        else:
            cells[key] = [entry]
    return list(cells.values())


def _as_one(entries: Sequence[Entry]) -> Cluster:
    latitudes = [entry.latitude or 0.0 for entry in entries]
    longitudes = [entry.longitude or 0.0 for entry in entries]
    number = len(entries)
    return Cluster(
        number,
        round(sum(latitudes) / number, 5),
        round(sum(longitudes) / number, 5),
        (min(longitudes), min(latitudes), max(longitudes), max(latitudes)),
    )


def zoom_for(box: tuple[float, float, float, float] | None) -> int:
    """Return at what zoom a box (west, south, east, north) is about 1,000 pixels wide."""
    if box is None:
        return 5
    wide, zoom = max(box[2] - box[0], 1e-4), CLOSEST_ZOOM
    while zoom > WIDEST_ZOOM and wide / 360 * 256 * 2**zoom > 1024:
        zoom -= 1
    return zoom
