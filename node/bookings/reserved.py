"""Places kept for people who are not here yet: the desk counts them as taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, literal_column, select
from sqlalchemy.orm import Session

from node.bookings.models import Booking
from node.visits.models import Visit

# No visit is longer: an earlier one is no booking's.
LONGEST_VISIT = timedelta(days=1)

# Made once: each scan asks it.
_NOW = select(Booking.id, Booking.passes, Booking.starts_at, Booking.ends_at).where(
    Booking.space_id == bindparam("space"),
    Booking.ends_at > bindparam("now"),
    Booking.starts_at <= bindparam("now"),
    Booking.state == literal_column("'confirmed'"),
    Booking.room.is_(None),
)


def reserved(
    session: Session, space_id: str, now: datetime, whose: str | None = None
) -> tuple[int, bool]:
    """Return how many places are kept now for others than ``whose`` pass, and if one is theirs."""
    rows = session.connection().execute(_NOW, {"space": space_id, "now": now}).all()
    kept = [row for row in rows if whose not in row.passes]
    others = len(kept) - len(came(session, space_id, kept)) if kept else 0
    return others, len(kept) < len(rows)


def came(session: Session, space_id: str, rows: Sequence[Any]) -> set[str]:
    """Return the ids of those bookings that somebody with one of their passes checked in for.

    A visit is a booking's if it goes on in its time; one of the evening before is over by then.
    """
    passes = {pass_id for row in rows for pass_id in row.passes}
    if not passes:
        return set()
    ends = func.coalesce(Visit.ended_at, Visit.closes_at)
    query = select(Visit.pass_id, Visit.started_at, ends.label("ends_at")).where(
        Visit.space_id == space_id,
        Visit.pass_id.in_(passes),
        Visit.state.in_(("open", "closed")),
        Visit.started_at >= min(row.starts_at for row in rows) - LONGEST_VISIT,
    )
    visits = session.connection().execute(query).all()
    return {
        row.id
        for row in rows
        if any(
            visit.pass_id in row.passes
            and visit.started_at < row.ends_at
            and visit.ends_at > row.starts_at
            for visit in visits
        )
    }
