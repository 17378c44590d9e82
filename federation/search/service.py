"""Finding spaces: by words, services, values, hours, free places and distance.

What is asked for is found in the index that the process keeps (``watching``); rows are read of
what is shown, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter.conditions import guest_places
from charter.rules import Rules
from federation.charters import service as charters
from federation.search import area, index_refresh
from federation.search.area import distance_km
from federation.search.index import Entry, Index
from federation.spaces import presenter
from federation.spaces import queries as published
from federation.spaces.models import Space
from federation.text_search import plain
from shared.wire.spaces import is_over

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; None, False and "" ask for nothing. ``near`` is latitude and longitude.

    What is not known is not found: hours for ``open_at`` and ``open_now``, free places for
    ``seats``, a place on the map for ``near`` and ``box`` (west, south, east, north).
    ``services``, ``values`` and ``facets`` are to be there all of them; ``plan`` is a plan class
    whose members are admitted; ``kind`` is ``listed`` or ``connected``.
    """

    box: area.Box | None = None
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
    session: Session, wanted: Filters, now: datetime, hub_url: str, after: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield spaces as the public sees them, those behind the id ``after``; see ``matches``.

    Where ``near`` is given each has its ``distance_km``.
    """
    if wanted == Filters():
        yield from _every(session, now, hub_url, after)
        return
    entries = behind(after, matches(session, wanted, now))
    for start in range(0, len(entries), AT_ONCE):
        yield from _present(session, wanted, now, hub_url, entries[start : start + AT_ONCE])


def page(
    session: Session,
    wanted: Filters,
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


def matches(session: Session, wanted: Filters, now: datetime) -> list[Entry]:
    """Return what is found: by id; of words, what begins so before what nearly does.

    Where ``near`` is given the nearest come first.
    """
    return _ordered(*_matching(session, wanted, now))


def anyhow(session: Session, wanted: Filters, now: datetime) -> list[Entry]:
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


# By what found spaces are put in order before their ids: letters that are wrong, or kilometres.
Ranks = dict[Entry, float]


def _matching(session: Session, wanted: Filters, now: datetime) -> tuple[list[Entry], Ranks]:
    watch = index_refresh.of(session)
    index = watch.look(session)
    rules = charters.in_force(session).rules if wanted.plan else None
    with watch.lock:
        return _look_up(index, wanted, now.astimezone(UTC), rules)


def _look_up(
    index: Index, wanted: Filters, now: datetime, rules: Rules | None
) -> tuple[list[Entry], Ranks]:
    ranks: Ranks = dict(index.words.find(wanted.words)) if wanted.words else {}
    held: list[Collection[Entry]] = [index.tags.get(tag, set()) for tag in wanted.tags]
    if wanted.words:
        held.append(ranks)
    held.sort(key=len)
    found = area.around(index, wanted.box, wanted.near, wanted.radius_km, held[0] if held else None)
    for others in held[1:]:
        found = [entry for entry in found if entry in others]
    if wanted.near is not None:
        near, most = wanted.near, wanted.radius_km
        ranks = {
            entry: round(km, 1)
            for entry in found
            if (place := entry.place) is not None and (km := distance_km(near, place)) <= most
        }
        found = list(ranks)
    if wanted.seats:
        found = _with_seats(found, wanted.seats, now)
    if rules is not None:
        found = _admitting(found, wanted.plan, rules, now)
    if wanted.open_now:
        found = [entry for entry in found if entry.hours.is_open(now)]
    if wanted.open_at is not None:
        instant = wanted.open_at.astimezone(UTC)
        found = [entry for entry in found if entry.hours.opens_at(instant)]
    return list(found), ranks


def _with_seats(found: Iterable[Entry], seats: int, now: datetime) -> list[Entry]:
    return [
        entry
        for entry in found
        if (told := entry.told) is not None
        and told.guest_places_free >= seats
        and (entry.free(now) or 0) >= seats
    ]


def _admitting(found: Iterable[Entry], plan: str, rules: Rules, now: datetime) -> list[Entry]:
    """Return where members of a plan class are admitted on some day.

    By the charter in force and the house's conditions; whether places are free is not asked.
    """
    eligible = rules.eligible_plans
    if eligible is not None and plan not in eligible.classes:
        return []
    always = guest_places(rules, 0) != 0
    return [
        entry
        for entry in found
        if (host := entry.host).signed
        and not host.suspended
        and not entry.paused
        and not entry.project
        and (entry.hours.schedule.until is None or not _is_over(entry, now))
        and (always or entry.most_guests > 0)
    ]


def _is_over(entry: Entry, now: datetime) -> bool:
    schedule = entry.hours.schedule
    return is_over(schedule, now.astimezone(schedule.zone).date())


def _ordered(found: list[Entry], ranks: Ranks) -> list[Entry]:
    if ranks:
        return sorted(found, key=lambda entry: (ranks[entry], entry.id))
    return sorted(found, key=attrgetter("id"))


def _every(session: Session, now: datetime, hub_url: str, after: str) -> Iterator[dict[str, Any]]:
    """Yield all there are, row by row: who wants them all needs no index."""
    signed = charters.signatories(session)
    while rows := published.spaces(session, after=after, limit=AT_ONCE):
        for space in rows:
            yield presenter.present(space, now, hub_url, signed)
        after = rows[-1].id


def _present(
    session: Session, wanted: Filters, now: datetime, hub_url: str, entries: Sequence[Entry]
) -> Iterator[dict[str, Any]]:
    signed = charters.signatories(session)
    query = select(Space).where(Space.id.in_([entry.id for entry in entries]))
    rows = {space.id: space for space in session.scalars(query)}
    for entry in entries:
        if entry.id not in rows:
            continue
        shown = presenter.present(rows[entry.id], now, hub_url, signed)
        if wanted.near is not None and entry.place is not None:
            shown["distance_km"] = round(distance_km(wanted.near, entry.place), 1)
        yield shown
