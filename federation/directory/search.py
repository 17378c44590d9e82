"""Finding spaces: by words, services, values, hours, free places and distance."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from charter.hours import read_schedule
from federation.directory import presenter, service
from federation.directory.models import Space

AT_ONCE = 1000
EARTH_KM = 6371.0
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None and "" ask for nothing. ``near`` is latitude and longitude.

    What is not known is not found: hours for ``open_at``, free places for ``seats``, a place on
    the map for ``near`` and ``box`` (west, south, east, north).
    """

    box: Box | None = None
    words: str = ""
    service: str = ""
    value: str = ""
    open_at: datetime | None = None
    seats: int = 0
    near: tuple[float, float] | None = None
    radius_km: float = 0


def plain(text: str) -> str:
    """Return a text without accents, marks and capitals, as it is compared."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(c if c.isalnum() else " " for c in folded if c.isascii()).split())


def find(
    session: Session,
    wanted: Wanted,
    now: datetime,
    hub_url: str,
    after: str = "",
) -> Iterator[dict[str, Any]]:
    """Yield spaces as the public sees them, by id, those behind the id ``after``.

    Where ``near`` is given the nearest come first, with their ``distance_km``.
    """
    if wanted.near is None:
        yield from _by_id(session, wanted, now, hub_url, after)
        return
    every = sorted(
        _by_id(session, wanted, now, hub_url, ""),
        key=lambda shown: (shown["distance_km"], shown["id"]),
    )
    ids = [shown["id"] for shown in every]
    yield from every[ids.index(after) + 1 if after in ids else 0 :]


def _by_id(
    session: Session,
    wanted: Wanted,
    now: datetime,
    hub_url: str,
    after: str,
) -> Iterator[dict[str, Any]]:
    signed = service.signed(session)
    while True:
        rows = service.spaces(session, box=_box(wanted), after=after, limit=AT_ONCE)
        for space in rows:
            distance = _distance(wanted, space)
            if distance is None or not _is_it(wanted, space):
                continue
            shown = presenter.present(space, now, hub_url, signed)
            free = shown["availability"]["guest_places_free"]
            if wanted.seats and (free is None or free < wanted.seats):
                continue
            yield {**shown, "distance_km": round(distance, 1)} if wanted.near else shown
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].id


def _is_it(wanted: Wanted, space: Space) -> bool:
    document = space.document
    if wanted.words and not _has_words(plain(wanted.words), space):
        return False
    for sought, name in ((wanted.service, "services"), (wanted.value, "values")):
        if sought and plain(sought) not in map(plain, document.get(name, ())):
            return False
    if wanted.open_at is not None:
        return read_schedule(document).opening_at(wanted.open_at) is not None
    return True


def _has_words(words: str, space: Space) -> bool:
    """Tell whether each word begins one of the name's or the town's."""
    begins = plain(f"{space.name} {space.town}").split()
    return all(any(each.startswith(word) for each in begins) for word in words.split())


def _box(wanted: Wanted) -> Box | None:
    """Return the box to look in: what is asked for, or what holds the circle around ``near``."""
    if wanted.near is None or wanted.box is not None:
        return wanted.box
    latitude, longitude = wanted.near
    up = math.degrees(wanted.radius_km / EARTH_KM)
    beside = up / max(math.cos(math.radians(latitude)), 0.01)
    return (
        max(-180.0, longitude - beside),
        max(-90.0, latitude - up),
        min(180.0, longitude + beside),
        min(90.0, latitude + up),
    )


def _distance(wanted: Wanted, space: Space) -> float | None:
    """Return how far away it is, in km; 0 where nobody asks, None beyond the radius."""
    if wanted.near is None:
        return 0.0
    if space.latitude is None or space.longitude is None:
        return None
    found = distance_km(wanted.near, (space.latitude, space.longitude))
    return found if found <= wanted.radius_km else None


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the great-circle distance (haversine) between two places in degrees."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, place)) for place in (a, b))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
