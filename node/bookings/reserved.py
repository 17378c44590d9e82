"""Places kept for people who are not here yet: the desk counts them as taken."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, literal_column, select
from sqlalchemy.orm import Session

from node.bookings.models import Booking
from node.desk.models import Visit

# Made once: each scan asks it.
_NOW = select(Booking.passes, Booking.starts_at, Booking.ends_at, Booking.space_id).where(
    Booking.space_id == bindparam("space"),
    Booking.ends_at > bindparam("now"),
    Booking.starts_at <= bindparam("now"),
    Booking.state == literal_column("'confirmed'"),
    Booking.room.is_(None),
)


def reserved(session: Session, space_id: str, now: datetime, whose: str | None = None) -> int:
    """Return how many places are kept now; one kept for ``whose`` pass is not counted."""
    rows = session.connection().execute(_NOW, {"space": space_id, "now": now}).all()
    return sum(not came(session, row) for row in rows if whose not in row.passes)


def came(session: Session, row: Booking) -> bool:
    """Tell whether somebody with one of the booking's passes checked in for it."""
    query = select(Visit.id).where(
        Visit.space_id == row.space_id,
        Visit.pass_id.in_(row.passes),
        Visit.state.in_(("open", "closed")),
        Visit.started_at >= row.starts_at - timedelta(hours=12),
        Visit.started_at < row.ends_at,
    )
    return session.scalar(query.limit(1)) is not None
