"""What the hub has of a host's visits, day by day, for the host to compare with its own log."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.visits.models import Correction, Visit
from shared.wire.reports import digests_by_day


def days(session: Session, host_id: str, since: date) -> dict[date, str]:
    """Return the digest of each day (UTC) from ``since`` on that has visits."""
    start = datetime.combine(since, time(), UTC)
    query = (
        select(
            Visit.id,
            Visit.state,
            Visit.started_at,
            Correction.visit_id.label("asked"),
            Correction.answered_at,
        )
        .outerjoin(Correction, Correction.visit_id == Visit.id)
        # What began since then changed since then, too: that is what the index is by.
        .where(Visit.host_id == host_id, Visit.changed_at >= start, Visit.started_at >= start)
    )
    return digests_by_day(session.execute(query))
