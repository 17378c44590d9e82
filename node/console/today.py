"""Today at a glance, for the console: who is here, who is expected, how many places are free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from node.bookings import hosted
from node.context import Node
from node.desk import corrections
from node.hub import service as sync
from node.spaces import service as spaces
from node.spaces.models import Space
from node.spaces.space_row import find_space, schedule_of
from node.visits.seats import places_left, present


@dataclass(frozen=True, slots=True)
class Today:
    """``free`` is None where the charter and the space set no limit, or before any charter is
    known; ``opening`` is the one under way or the next.
    """

    guests: int
    own: int
    expected: int
    waiting: int
    free: int | None
    open: bool
    opening: tuple[datetime, datetime] | None
    next_opening: datetime | None
    corrections: int


def at_a_glance(session: Session, node: Node, space: Space) -> Today:
    now, known = node.clock.now(), sync.network(session, node)
    row = find_space(session, space.id)
    schedule = schedule_of(row, now)
    guests, _, own = present(session, space.id, now)
    bookings = hosted.of_day(session, space, spaces.today(space, now))
    opening = schedule.opening_at(now)
    return Today(
        guests=guests,
        own=own,
        expected=sum(each.state == "confirmed" for each in bookings),
        waiting=sum(each.state == "waiting" for each in bookings),
        free=places_left(session, known.charter, row, schedule, now) if known else None,
        open=opening is not None,
        opening=opening,
        next_opening=schedule.next_opening(now),
        corrections=len(corrections.waiting(session, space.id)),
    )
