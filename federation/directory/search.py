"""Finding spaces: by words, services, values, hours, free places and distance.

What is asked for is found in the index that the process keeps (``watching``); rows are read of
what is shown, and of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter.conditions import guest_places
from charter.rules import Rules
from federation.directory import presenter, service, watching
from federation.directory.index import Entry, Index
from federation.directory.models import Space
from federation.directory.words import plain
from federation.governance import service as governance

__all__ = ["Page", "Wanted", "distance_km", "find", "matches", "page", "plain"]

AT_ONCE = 1000
EARTH_KM = 6371.0
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None, False and "" ask for nothing. ``near`` is latitude and longitude.

    What is not known is not found: hours for ``open_at`` and ``open_now``, free places for
    ``seats``, a place on the map for ``near`` and ``box`` (west, south, east, north).
    ``services``, ``values`` and ``facets`` are to be there all of them; ``plan`` is a plan class
    whose members are admitted; ``kind`` is ``listed`` or ``connected``.
    """

    box: Box | None = None
    words: str = ""
    services: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()
    kind: str = ""
    plan: str = ""
    open_now: bool = False
    open_at: datetime | None = None
    seats: int = 0
    near: tuple[float, float] | None = None
    radius_km: float = 0

    @property
    def tags(self) -> list[str]:
        """Return by what tags of the index these are found."""
        services = (f"service:{plain(each)}" for each in self.services)
        values = (f"value:{plain(each)}" for each in self.values)
        return [*services, *values, *self.facets, *([self.kind] if self.kind else [])]


@dataclass(frozen=True, slots=True)
class Page:
    """Spaces as the public sees them, how many there are in all, and where the next page begins."""

    shown: list[dict[str, Any]]
    total: int
    next_cursor: str | None


def find(
    session: Session, wanted: Wanted, now: datetime, hub_url: str, after: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield spaces as the public sees them, those behind the id ``after``; see ``matches``.

    Where ``near`` is given each has its ``distance_km``.
    """
    if wanted == Wanted():
        yield from _every(session, now, hub_url, after)
        return
    entries = behind(after, matches(session, wanted, now))
    for start in range(0, len(entries), AT_ONCE):
        yield from _present(session, wanted, now, hub_url, entries[start : start + AT_ONCE])


def page(
    session: Session,
    wanted: Wanted,
    now: datetime,
    hub_url: str,
    *,
    after: str = "",
    limit: int = AT_ONCE,
) -> Page:
    """Return at most ``limit`` of what ``find`` yields. Rows are read of these alone."""
    found = matches(session, wanted, now)
    left = behind(after, found)
    shown = list(_present(session, wanted, now, hub_url, left[:limit]))
    return Page(shown, len(found), left[limit - 1].id if len(left) > limit else None)


def matches(session: Session, wanted: Wanted, now: datetime) -> list[Entry]:
    """Return what is found: by id; of words, what begins so before what nearly does.

    Where ``near`` is given the nearest come first.
    """
    return _ordered(wanted, *_matching(session, wanted, now))


def anyhow(session: Session, wanted: Wanted, now: datetime) -> list[Entry]:
    """Return what ``matches`` finds, in no order."""
    return _matching(session, wanted, now)[0]


def behind(after: str, found: Sequence[Entry]) -> Sequence[Entry]:
    """Return what comes behind an id; what is found no more began where the next id is."""
    if not after:
        return found
    for position, entry in enumerate(found):
        if entry.id == after:
            return found[position + 1 :]
    return [entry for entry in found if entry.id > after]


Ranks = dict[Entry, int]


def _matching(session: Session, wanted: Wanted, now: datetime) -> tuple[list[Entry], Ranks]:
    watch = watching.of(session)
    index = watch.look(session)
    rules = governance.in_force(session).rules if wanted.plan else None
    with watch.lock:
        return _look_up(index, wanted, now.astimezone(UTC), rules)


def _look_up(
    index: Index, wanted: Wanted, now: datetime, rules: Rules | None
) -> tuple[list[Entry], Ranks]:
    ranks = index.words.find(wanted.words) if wanted.words else {}
    held: list[Collection[Entry]] = [index.tags.get(tag, set()) for tag in wanted.tags]
    if wanted.words:
        held.append(ranks)
    held.sort(key=len)
    found: Iterable[Entry] = _around(index, wanted, held[0] if held else None)
    for others in held[1:] if held else ():
        found = [entry for entry in found if entry in others]
    for test in _tests(wanted, now, rules):
        found = filter(test, found)
    return list(found), ranks


def _around(index: Index, wanted: Wanted, few: Collection[Entry] | None) -> Iterable[Entry]:
    """Return what is in the box and the circle, out of ``few`` or of all."""
    found: Iterable[Entry] = index.entries.values() if few is None else few
    if wanted.box is not None:
        west, south, east, north = wanted.box
        if few is None:
            found = chain.from_iterable(index.within(south, north, west, east))
        found = [
            entry
            for entry in found
            if entry.latitude is not None
            and south <= entry.latitude <= north
            and west <= entry.longitude <= east
        ]
    if wanted.near is not None:
        if few is None and wanted.box is None:
            found = chain.from_iterable(
                chain.from_iterable(
                    index.within(*box) for box in _boxes(wanted.near, wanted.radius_km)
                )
            )
        place, most = wanted.near, wanted.radius_km
        found = [entry for entry in found if _distance(place, entry) <= most]
    return found


def _tests(
    wanted: Wanted, now: datetime, rules: Rules | None
) -> Iterator[Callable[[Entry], bool | None]]:
    if rules is not None:
        yield partial(_admits, wanted.plan, rules, now)
    if wanted.seats:
        seats = wanted.seats
        yield (
            lambda entry: (
                entry.told is not None
                and entry.told.guest_places_free >= seats
                and (entry.free(now) or 0) >= seats
            )
        )
    instants = [now] if wanted.open_now else []
    if wanted.open_at is not None:
        instants.append(wanted.open_at.astimezone(UTC))
    for instant in instants:
        yield partial(_is_open, instant)


def _is_open(instant: datetime, entry: Entry) -> bool | None:
    return entry.hours.is_open(instant)


def _admits(plan: str, rules: Rules, now: datetime, entry: Entry) -> bool:
    """Tell whether members of a plan class are admitted there, on some day.

    By the charter in force and the house's conditions; whether places are free is not asked.
    """
    eligible, conditions = rules.eligible_plans, entry.conditions
    if not entry.host.reciprocity or entry.paused or entry.project:
        return False
    if eligible is not None and plan not in eligible.classes:
        return False
    until = entry.hours.schedule.until
    if until is not None and now.astimezone(entry.hours.schedule.zone).date() > until:
        return False
    declared = max(conditions.guests, *chain((0,), *conditions.by_weekday.values()))
    return guest_places(rules, declared) != 0


def _ordered(wanted: Wanted, found: list[Entry], ranks: Ranks) -> list[Entry]:
    if wanted.near is not None:
        near = wanted.near
        return sorted(found, key=lambda entry: (round(_distance(near, entry), 1), entry.id))
    if ranks:
        return sorted(found, key=lambda entry: (ranks[entry], entry.id))
    return sorted(found, key=lambda entry: entry.id)


def _every(session: Session, now: datetime, hub_url: str, after: str) -> Iterator[dict[str, Any]]:
    """Yield all there are, row by row: who wants them all needs no index."""
    signed = service.signed(session)
    while rows := service.spaces(session, after=after, limit=AT_ONCE):
        for space in rows:
            yield presenter.present(space, now, hub_url, signed)
        after = rows[-1].id


def _present(
    session: Session, wanted: Wanted, now: datetime, hub_url: str, entries: Sequence[Entry]
) -> Iterator[dict[str, Any]]:
    signed = service.signed(session)
    query = select(Space).where(Space.id.in_([entry.id for entry in entries]))
    rows = {space.id: space for space in session.scalars(query)}
    for entry in entries:
        if entry.id not in rows:
            continue
        shown = presenter.present(rows[entry.id], now, hub_url, signed)
        if wanted.near is not None:
            shown["distance_km"] = round(_distance(wanted.near, entry), 1)
        yield shown


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


def _distance(place: tuple[float, float], entry: Entry) -> float:
    """Return how far away it is, in km; what has no place is beyond everything."""
    if entry.latitude is None:
        return math.inf
    return distance_km(place, (entry.latitude, entry.longitude))


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the great-circle distance (haversine) between two places in degrees."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, place)) for place in (a, b))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
