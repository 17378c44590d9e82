"""Reading visits."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from federation.visits.models import Member, Visit


def present(session: Session) -> int:
    """Return how many roaming members are somewhere now."""
    here = select(func.count()).where(Visit.state == "open", Visit.held.is_(None))
    return session.scalar(here) or 0


def visits(
    session: Session,
    *,
    node_id: str | None = None,
    side: str = "host",
    member: str | None = None,
    changed_since: datetime | None = None,
    day: date | None = None,
    held: bool = False,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Visit]:
    """Return visits, the latest change first; ``node_id`` keeps a node's own, on one side.

    ``member`` keeps those of one person, by the reference that this node gave them as their home;
    ``day`` those that began on a day in UTC; ``held`` those that wait for the coordination.
    """
    query = select(Visit).order_by(Visit.changed_at.desc(), Visit.id.desc()).limit(limit)
    if node_id is not None:
        query = query.where((Visit.host_id if side == "host" else Visit.home_id) == node_id)
    if member is not None:
        people = select(Member.id).where(Member.node_id == node_id, Member.reference == member)
        query = query.where(Visit.member_id.in_(people))
    if changed_since is not None:
        query = query.where(Visit.changed_at >= changed_since)
    if held:
        query = query.where(Visit.held.is_not(None), Visit.state != "void")
    if day is not None:
        start = datetime.combine(day, time(), UTC)
        query = query.where(Visit.started_at >= start, Visit.started_at < start + timedelta(1))
    if before is not None:
        query = query.where(
            (Visit.changed_at < before[0])
            | ((Visit.changed_at == before[0]) & (Visit.id < before[1]))
        )
    return list(session.scalars(query))


def guests_by_space(session: Session) -> dict[str, int]:
    """Return how many roaming members are at each space, as far as the hub was told."""
    query = select(Visit.space_id, func.count()).where(Visit.state == "open", Visit.held.is_(None))
    return {row[0]: row[1] for row in session.execute(query.group_by(Visit.space_id))}
