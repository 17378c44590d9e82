"""What a process remembers of every published space, so that finding them reads no row.

An ``Index`` is filled and kept by ``watching``; ``search`` asks it.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import orjson

from charter.conditions import HouseConditions, read_conditions
from charter.hours import read_schedule
from federation.search.facets import facets
from federation.search.opening import Hours, Week
from federation.spaces.presenter import CLOCKS_DIFFER
from federation.text_search import Words, plain_name, words_of

CELLS_A_DEGREE = 10
MERCATOR_EDGE = 85.0511287798


class Told(NamedTuple):
    """What a node last said of a space's free places."""

    guest_places: int
    guest_places_free: int
    paused: bool
    as_of: datetime
    expires_at: datetime


class Host:
    """A node, as far as its spaces' places depend on it; the id is None where there is none."""

    __slots__ = ("id", "signed", "suspended")

    def __init__(self, node_id: str | None) -> None:
        self.id = node_id
        self.signed = self.suspended = False

    @property
    def reciprocity(self) -> bool:
        return self.signed and not self.suspended


@dataclass(eq=False, slots=True)
class Entry:
    """A published space; a new one takes its place when it is published anew.

    ``latitude`` and ``longitude`` are both there or both None; ``x`` and ``y`` are of ``mercator``.
    """

    id: str
    name: str
    town: str
    latitude: float | None
    longitude: float | None
    host: Host
    published_at: datetime
    services: tuple[str, ...]
    values: tuple[str, ...]
    tags: tuple[str, ...]
    hours: Hours
    conditions: HouseConditions
    paused: bool
    project: bool
    told: Told | None
    words: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0

    @property
    def place(self) -> tuple[float, float] | None:
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude

    @property
    def listed(self) -> bool:
        """Tell whether nobody runs a node for it."""
        return self.host.id is None

    def free(self, now: datetime) -> int | None:
        """Return how many guest places are known to be free, as ``presenter.present`` does."""
        told = self.told
        if told is None or self.host.suspended or self.project or not now < told.expires_at:
            return None
        if told.as_of > now and told.as_of > now + CLOCKS_DIFFER:
            return None
        if not self.host.signed or self.paused or told.paused:
            return 0
        newer, closed = self.published_at > told.as_of, self.conditions.closed
        if not newer and not closed:
            return min(told.guest_places_free, told.guest_places)
        local = now.astimezone(self.hours.schedule.zone)
        if local.date() in closed:
            return 0
        places = self.conditions.guests_at(local) if newer else told.guest_places
        return min(told.guest_places_free, places)

    @property
    def most_guests(self) -> int:
        """Return how many guests the house takes on the day on which it takes most."""
        return max(self.conditions.guests, *chain((0,), *self.conditions.by_weekday.values()))


class _Shared:
    """Hours and conditions that are written alike are one object."""

    def __init__(self) -> None:
        self._hours: WeakValueDictionary[bytes, Hours] = WeakValueDictionary()
        self._weeks: WeakValueDictionary[Any, Week] = WeakValueDictionary()
        self._conditions: dict[bytes, HouseConditions] = {}

    def hours(self, document: Mapping[str, Any]) -> Hours:
        names = ("timezone", "week", "exceptions", "until")
        key = _digest([document.get(name) for name in names])
        found = self._hours.get(key)
        if found is None:
            schedule = read_schedule(document)
            alike = (schedule.zone, schedule.week)
            week = self._weeks.get(alike)
            if week is None:
                week = self._weeks[alike] = Week(*alike)
            found = self._hours[key] = Hours(schedule, week)
        return found

    def conditions(self, document: Mapping[str, Any]) -> HouseConditions:
        given = document.get("conditions") or {}
        names = ("guests", "closed", "release")
        key = _digest([document["guest_cap"], *(given.get(name) for name in names)])
        found = self._conditions.get(key)
        if found is None:
            if len(self._conditions) > 10_000:
                self._conditions.clear()
            few = {name: given[name] for name in names if name in given}
            found = read_conditions({"guest_cap": document["guest_cap"], "conditions": few})
            self._conditions[key] = found
        return found


def _digest(value: Any) -> bytes:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()


class Index:
    """Every published space: by id, by the words of name and town, by tag, by place.

    A tag is ``service:…``, ``value:…`` (plain), a facet, ``listed`` or ``connected``.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.words: Words[Entry] = Words()
        self.tags: dict[str, set[Entry]] = {}
        self._cells: dict[tuple[int, int], set[Entry]] = {}
        self._shared = _Shared()

    def put(self, row: Any, document: Any, host: Host, told: Told | None) -> None:
        """Take a space in, in the place of what was known of it.

        Raises AttributeError, KeyError, TypeError or ValueError where it cannot be read.
        """
        entry = self._read(row, document, host, told)
        self.drop(row.id)
        self.entries[entry.id] = entry
        self.words.add(entry, entry.words)
        for tag in entry.tags:
            self.tags.setdefault(tag, set()).add(entry)
        if entry.place is not None:
            entry.x, entry.y = mercator(*entry.place)
            self._cells.setdefault(_cell(*entry.place), set()).add(entry)

    def drop(self, space_id: str) -> None:
        entry = self.entries.pop(space_id, None)
        if entry is None:
            return
        self.words.remove(entry, entry.words)
        for tag in entry.tags:
            self.tags[tag].discard(entry)
        if entry.place is not None:
            self._cells[_cell(*entry.place)].discard(entry)

    def _read(self, row: Any, document: Any, host: Host, told: Told | None) -> Entry:
        services, values = (
            tuple(map(sys.intern, document.get(name) or ())) for name in ("services", "values")
        )
        tags = facets(document) | {"listed" if host.id is None else "connected"}
        tags |= {f"service:{plain_name(name)}" for name in services}
        tags |= {f"value:{plain_name(name)}" for name in values}
        placed = row.latitude is not None and row.longitude is not None
        return Entry(
            id=row.id,
            name=row.name,
            town=row.town,
            latitude=row.latitude if placed else None,
            longitude=row.longitude if placed else None,
            host=host,
            published_at=row.published_at,
            services=services,
            values=values,
            tags=tuple(map(sys.intern, tags)),
            hours=self._shared.hours(document),
            conditions=self._shared.conditions(document),
            paused=bool(document.get("paused")),
            project=bool(document.get("project")),
            told=told,
            words=tuple(map(sys.intern, words_of(f"{row.name} {row.town}"))),
        )

    def within(self, south: float, north: float, west: float, east: float) -> Iterable[set[Entry]]:
        """Yield sets that hold every space of a box (degrees), and some beside it."""
        (low, left), (high, right) = _cell(south, west), _cell(north, east)
        if (high - low + 1) * (right - left + 1) <= len(self._cells):
            for row in range(low, high + 1):
                for column in range(left, right + 1):
                    if (row, column) in self._cells:
                        yield self._cells[row, column]
            return
        for (row, column), entries in self._cells.items():
            if low <= row <= high and left <= column <= right:
                yield entries


def _cell(latitude: float, longitude: float) -> tuple[int, int]:
    return math.floor(latitude * CELLS_A_DEGREE), math.floor(longitude * CELLS_A_DEGREE)


def mercator(latitude: float, longitude: float) -> tuple[float, float]:
    """Return a place on the square map of the world (Web Mercator), each from 0 to 1."""
    held = math.radians(max(-MERCATOR_EDGE, min(MERCATOR_EDGE, latitude)))
    return (longitude + 180) / 360, 0.5 - math.asinh(math.tan(held)) / (2 * math.pi)
