"""One space as its bookings see it: its hours and conditions, and whether there is room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Charter
from charter.conditions import HouseConditions, guest_places, read_conditions
from charter.hours import Schedule
from node.bookings import occupancy
from node.bookings.models import Booking
from node.context import Node
from node.desk.models import Visit
from node.desk.scan import as_document, find_space, schedule_of
from node.spaces.models import Space
from node.sync import service as sync
from shared.db import begin_write
from shared.problems import Problem
from shared.spaces import capacity_on

ACTIVE = ("held", "confirmed")


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


def find(session: Session, node: Node, space_id: str) -> House:
    """Return a space of ours. Raises ValidationError, and Problem before the network is known."""
    row = find_space(session, space_id)
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    schedule = schedule_of(row, node.clock.now().date())
    return House(row, schedule, read_conditions(row._mapping), known.charter)  # noqa: SLF001


def lock(session: Session, house: House) -> None:
    """Start writing under the space's row, the lock under which places are given."""
    session.rollback()
    begin_write(session)
    session.execute(select(Space.id).where(Space.id == house.row.id).with_for_update())


def is_free(
    session: Session, house: House, span: occupancy.Span, room: str | None, now: datetime
) -> bool:
    """Tell whether there is a place, or the room is free, all that time."""
    taken = _taken(session, house, span, room, now)
    if room is not None:
        return occupancy.most_at_once(taken, span) == 0
    return all(
        occupancy.most_at_once(taken, part) < house.places(day, afternoon=afternoon)
        for day, afternoon, part in occupancy.by_half_day(span, house.schedule.zone)
    )


def has_lapsed(row: Booking, now: datetime) -> bool:
    return row.state == "held" and row.held_until is not None and row.held_until <= now


def _taken(
    session: Session, house: House, span: occupancy.Span, room: str | None, now: datetime
) -> list[occupancy.Span]:
    """Return what is kept for others, and, of places, who is here without having booked."""
    query = select(Booking).where(
        Booking.space_id == house.row.id,
        Booking.ends_at > span[0],
        Booking.starts_at < span[1],
        Booking.state.in_((*ACTIVE, "arrived")),
    )
    rows = [row for row in session.scalars(query) if row.room == room and not has_lapsed(row, now)]
    taken = [(row.starts_at, row.ends_at) for row in rows]
    if room is None:
        booked = {pass_id for row in rows for pass_id in row.passes}
        here = session.execute(
            select(Visit.pass_id, Visit.started_at, Visit.closes_at).where(
                Visit.space_id == house.row.id, Visit.state == "open", Visit.local.is_(False)
            )
        )
        taken += [(v.started_at, v.closes_at) for v in here if v.pass_id not in booked]
    return taken
