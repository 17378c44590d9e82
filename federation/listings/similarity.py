"""Which spaces may be one and the same: like names near each other, one address, one site. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from federation.listings.mapping import fold

NEAR_KM, SAME_TOWN_KM = 1.0, 5.0
LIKE = 0.86
MOST = 5  # suggestions for one space
CELL = 0.02  # degrees: wider than NEAR_KM up to 60° of latitude
# Words that tell nothing apart.
_COMMON = frozenset(
    (
        *("le", "la", "les", "l", "un", "une", "d", "de", "du", "des", "et", "a", "au", "aux"),
        *("en", "the", "of", "and", "coworking", "cowork", "espace", "space", "tiers", "lieu"),
    )
)


@dataclass(frozen=True, slots=True)
class Known:
    """A space, as far as it can be taken for another. ``place`` is latitude and longitude."""

    id: str
    name: str
    town: str = ""
    street: str = ""
    website: str = ""
    place: tuple[float, float] | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """``why`` are codes: name, address, site. ``metres`` is None where a place is not known."""

    space: Known
    why: tuple[str, ...]
    metres: int | None


def known(space_id: str, facts: Mapping[str, Any], *, listed: bool = True) -> Known:
    """Return the space that facts of a source are about."""
    placed = "latitude" in facts and "longitude" in facts
    return Known(
        space_id,
        facts.get("name", ""),
        facts.get("town", ""),
        facts.get("street", ""),
        facts.get("website", ""),
        (facts["latitude"], facts["longitude"]) if placed else None,
        listed,
    )


class Index:
    """Spaces by what may make them alike, so that each is compared with few others."""

    def __init__(self, spaces: Iterable[Known]) -> None:
        self._by: dict[object, list[Known]] = defaultdict(list)
        for space in spaces:
            town = _folded(space.town)
            keys = {*_keys(space), _cell(space.place), ("town", town)}
            if space.place is None:
                keys.add(("unplaced", town))
            for key in keys:
                self._by[key].append(space)

    def like(self, space: Known) -> list[Like]:
        """Return the spaces that may be this one, the likest first."""
        found: dict[str, Like] = {}
        for other in self._candidates(space):
            if other.id == space.id or other.id in found:
                continue
            metres = distance(space.place, other.place)
            why = tuple(_why(space, other, metres))
            if why:
                found[other.id] = Like(other, why, metres)
        ranked = sorted(found.values(), key=lambda like: (-len(like.why), like.metres or 0))
        return ranked[:MOST]

    def _candidates(self, space: Known) -> Iterator[Known]:
        """Yield neighbours; where a place is not known, all of the town are."""
        town = _folded(space.town)
        around = ("town" if space.place is None else "unplaced", town)
        keys = {*_keys(space), *_cells(space.place), *([around] if town else [])}
        for key in keys:
            yield from self._by.get(key, ())


def _keys(space: Known) -> Iterator[object]:
    town = _folded(space.town)
    if town:
        yield "name", _telling(space.name), town
    if town and (street := _folded(space.street)):
        yield "street", street, town
    if site := _site(space.website):
        yield "site", site


def _cell(place: tuple[float, float] | None) -> object:
    if place is None:
        return None
    return math.floor(place[0] / CELL), math.floor(place[1] / CELL)


def _cells(place: tuple[float, float] | None) -> Iterator[object]:
    if place is None:
        return
    up, across = (math.floor(each / CELL) for each in place)
    for north in (-1, 0, 1):
        for east in (-1, 0, 1):
            yield up + north, across + east


def _why(one: Known, other: Known, metres: int | None) -> Iterator[str]:
    same_town = bool(_folded(one.town)) and _folded(one.town) == _folded(other.town)
    if metres is not None:
        near, around = metres <= NEAR_KM * 1000, metres <= SAME_TOWN_KM * 1000
    else:
        near = around = same_town
    if (near and like_names(one.name, other.name)) or (
        around and same_town and _telling(one.name) == _telling(other.name)
    ):
        yield "name"
    if same_town and _folded(one.street) and _folded(one.street) == _folded(other.street):
        yield "address"
    site = _site(one.website)
    if site and site == _site(other.website) and (around or one.place is None is other.place):
        yield "site"


_folded = lru_cache(maxsize=50_000)(fold)


@lru_cache(maxsize=50_000)
def _telling(name: str) -> str:
    """Return the words of a name that tell it from others; all of them, if none does."""
    words = _folded(name).split()
    return " ".join([word for word in words if word not in _COMMON] or words)


def like_names(one: str, other: str) -> bool:
    """Tell whether two names may be one: the same words that tell, or nearly the same letters."""
    a, b = _telling(one), _telling(other)
    if 2 * min(len(a), len(b)) < LIKE * (len(a) + len(b)):  # most are told apart by this
        return False
    matcher = SequenceMatcher(None, a, b)
    return a == b or (matcher.quick_ratio() >= LIKE and matcher.ratio() >= LIKE)


def _site(url: str) -> str:
    """Return a web address as it is compared: its name without www, and its path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{(parts.hostname or '').removeprefix('www.')}{parts.path.rstrip('/').lower()}"


def distance(one: tuple[float, float] | None, other: tuple[float, float] | None) -> int | None:
    """Return metres between two places, on a sphere; None where one is not known."""
    if one is None or other is None:
        return None
    up = math.radians(other[0] - one[0])
    across = math.radians(other[1] - one[1]) * math.cos(math.radians((one[0] + other[0]) / 2))
    return round(6_371_000 * math.hypot(up, across))
