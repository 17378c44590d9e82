"""What is within a box or around a place, nearest first. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from federation.search.index import Entry, Index

EARTH_KM = 6371.0
_asin, _cos, _radians, _sin, _sqrt = math.asin, math.cos, math.radians, math.sin, math.sqrt
Box = tuple[float, float, float, float]


def around(
    index: Index,
    box: Box | None,
    near: tuple[float, float] | None,
    radius_km: float,
    few: Collection[Entry] | None,
) -> Iterable[Entry]:
    """Return what is in a box (west, south, east, north), out of ``few`` or of all.

    Around a place all that is as near as ``radius_km`` is returned, and some beyond.
    """
    if box is not None:
        west, south, east, north = box
        if few is None:
            few = list(chain.from_iterable(index.within(south, north, west, east)))
        return [
            entry
            for entry in few
            if entry.latitude is not None
            and entry.longitude is not None
            and south <= entry.latitude <= north
            and west <= entry.longitude <= east
        ]
    if few is None and near is not None:
        boxes = (index.within(*each) for each in _boxes(near, radius_km))
        return set(chain.from_iterable(chain.from_iterable(boxes)))
    return index.entries.values() if few is None else few


def _boxes(place: tuple[float, float], radius_km: float) -> Iterator[Box]:
    """Yield south, north, west and east of what holds a circle: two where it crosses 180°."""
    latitude, longitude = place
    angle = radius_km / EARTH_KM + 1e-9
    south, north = latitude - math.degrees(angle), latitude + math.degrees(angle)
    if south <= -90 or north >= 90 or angle >= math.pi / 2:
        yield max(south, -90), min(north, 90), -180, 180
        return
    beside = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(latitude)))))
    west, east = longitude - beside, longitude + beside
    yield south, north, max(west, -180), min(east, 180)
    if west < -180:
        yield south, north, west + 360, 180
    if east > 180:
        yield south, north, -180, east - 360


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the great-circle distance (haversine) between two places in degrees."""
    up, beside = _radians(b[0] - a[0]), _radians(b[1] - a[1])
    half = _sin(up / 2) ** 2 + _cos(_radians(a[0])) * _cos(_radians(b[0])) * _sin(beside / 2) ** 2
    return 2 * EARTH_KM * _asin(min(1.0, _sqrt(half)))
