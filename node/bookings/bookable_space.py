"""One space as its bookings see it: its hours and conditions, and whether there is room."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Charter
from charter.bookings import over_host_month
from charter.conditions import HouseConditions, guest_places, read_conditions
from charter.hours import Schedule
from node.bookings import half_days, occupancy
from node.bookings.models import Booking
from node.context import Node
from node.hub import service as sync
from node.spaces.models import Space
from node.spaces.space_row import as_document, find_space, schedule_of
from node.visits.models import Visit
from shared.store.db import write
from shared.wire.problems import Problem
from shared.wire.spaces import capacity_on, is_over

ACTIVE = ("held", "confirmed")
ROOMS_A_DAY = 3  # bookings of rooms by one home, on one day


@dataclass(frozen=True, slots=True)
class House:
    """``row`` has the columns of the space that a door looks at."""

    row: Any
    schedule: Schedule
    conditions: HouseConditions
    charter: Charter

    def places(self, day: date, *, afternoon: bool) -> int:
        """Return how many visitors may book a place on a half-day."""
        declared = self.conditions.guests_on(day)[afternoon]
        most = guest_places(self.charter.rules, declared)
        places = declared if most is None else most
        capacity = capacity_on(as_document(self.row, day), day)
        return places if capacity is None else min(places, capacity)

    def is_never_open(self, end: datetime) -> bool:
        """A place in project is not booked, nor one that is over by then.

        Whoever is at the desk may let somebody in all the same.
        """
        last = (end - timedelta(seconds=1)).astimezone(self.schedule.zone).date()
        return bool(self.row.project) or is_over(self.schedule, last)

    @property
    def split(self) -> time:
        return self.charter.rules.opening_hours.split

    def half_days(self, row: Any) -> list[str]:
        """Return a booking's half-days, as they were when it was made where that was noted."""
        found = half_days.codes(self.schedule, row.starts_at, row.ends_at, self.split)
        return list(row.half_days) or found

    def closed_days(self, row: Booking, own: str, now: datetime) -> list[str]:
        """Return the dates ahead on which a booking can no longer be, as the house is now."""
        today = now.astimezone(self.schedule.zone).date()
        never = self.is_never_open(row.ends_at)
        still = half_days.codes(self.schedule, row.starts_at, row.ends_at, self.split)
        shut = {
            code
            for code in self.half_days(row)
            if half_days.day_of(code) >= today
            and (never or code not in still or self._no_visitors(code, row.home_id == own))
        }
        return sorted({code[:10] for code in shut})

    def _no_visitors(self, code: str, at_home: bool) -> bool:
        """Closed to visitors on a date, as far as the charter lets a house be."""
        which = self.conditions.closed_on(half_days.day_of(code))
        rule = self.charter.rules.house_conditions
        return not at_home and which is not None and (rule is None or which <= rule.closed_dates)


def find(session: Session, node: Node, space_id: str) -> House:
    """Return a space of ours. Raises ValidationError, and Problem before the network is known."""
    row = find_space(session, space_id)
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    schedule = schedule_of(row, node.clock.now())
    return House(row, schedule, read_conditions(row._mapping), known.charter)  # noqa: SLF001


@contextmanager
def locked(session: Session, house: House) -> Iterator[None]:
    """Write under the space's row, the lock under which places are given."""
    with write(session):
        session.execute(select(Space.id).where(Space.id == house.row.id).with_for_update())
        yield


@dataclass(frozen=True, slots=True)
class Wanted:
    """A place or a room that is asked for, by whom and for when."""

    id: str
    home: str
    member: str
    room: str | None
    span: occupancy.Span
    half_days: frozenset[str]


def share_of_one_home(places: int) -> int:
    """Return how many of a house's places one home's members may book at a time."""
    return max(2, (places + 1) // 2)


def why_not(session: Session, house: House, wanted: Wanted, own: str, now: datetime) -> str:
    """Return the code of what is against a place or a room at that time, or an empty text."""
    around = occupancy.around(wanted.span)
    rows = [row for row in _kept(session, house, around, now) if row.id != wanted.id]
    theirs = [row for row in rows if row.home_id == wanted.home]
    here = [row for row in rows if row.starts_at < wanted.span[1] and row.ends_at > wanted.span[0]]
    if wanted.home != own and (code := _too_many(house, wanted, theirs)):
        return code
    if any(row.member == wanted.member and row.home_id == wanted.home for row in here):
        return "booked_elsewhere"
    same = [row for row in here if row.room == wanted.room]
    taken = [(row.starts_at, row.ends_at) for row in same]
    if wanted.room is not None:
        return "room_taken" if occupancy.most_at_once(taken, wanted.span) else ""
    taken += _here_without(session, house, {pass_id for row in same for pass_id in row.passes})
    of_home = [(row.starts_at, row.ends_at) for row in same if row.home_id == wanted.home]
    for day, afternoon, part in occupancy.by_half_day(wanted.span, house.schedule.zone):
        places = house.places(day, afternoon=afternoon)
        if occupancy.most_at_once(taken, part) >= places:
            return "booking_full"
        if occupancy.most_at_once(of_home, part) >= share_of_one_home(places):
            return "home_share"
    return ""


def _too_many(house: House, wanted: Wanted, theirs: Sequence[Booking]) -> str:
    """Look at what one home, and one of its members, may book here in a month and in a day."""
    of_member = {
        code for row in theirs if row.member == wanted.member for code in house.half_days(row)
    }
    if over_host_month(house.charter.rules, wanted.half_days, of_member):
        return "quota_host"
    days = {code[:10] for code in wanted.half_days}
    rooms = [
        row
        for row in theirs
        if row.room is not None and days & {code[:10] for code in house.half_days(row)}
    ]
    return "home_share" if wanted.room is not None and len(rooms) >= ROOMS_A_DAY else ""


def has_lapsed(row: Booking, now: datetime) -> bool:
    return row.state == "held" and row.held_until is not None and row.held_until <= now


def _kept(session: Session, house: House, span: occupancy.Span, now: datetime) -> list[Booking]:
    """Return what is booked here, or came of it, at some time of a span."""
    query = select(Booking).where(
        Booking.space_id == house.row.id,
        Booking.ends_at > span[0],
        Booking.starts_at < span[1],
        Booking.state.in_((*ACTIVE, "arrived")),
    )
    return [row for row in session.scalars(query) if not has_lapsed(row, now)]


def _here_without(session: Session, house: House, booked: Collection[str]) -> list[occupancy.Span]:
    """Return the time of visitors who are here without having booked."""
    here = session.execute(
        select(Visit.pass_id, Visit.started_at, Visit.closes_at).where(
            Visit.space_id == house.row.id, Visit.state == "open", Visit.local.is_(False)
        )
    )
    return [(v.started_at, v.closes_at) for v in here if v.pass_id not in booked]
