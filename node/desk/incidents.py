"""Notes of the desk for the space's admin: what happened, and whose visit it was."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from node.spaces import service as spaces
from node.visits.models import Incident, Visit
from shared.store.db import write
from shared.wire.problems import Problem

KEPT = timedelta(days=365)
LATEST = 20


def note(
    session: Session, now: datetime, space_id: str, text: str, by: str, visit_id: str | None
) -> Incident:
    """Keep a note about a space or one of its visits. Raises Problem."""
    with write(session):
        visit = session.get(Visit, visit_id) if visit_id else None
        if visit_id and (visit is None or visit.space_id != space_id):
            raise Problem("not-found")
        spaces.space(session, space_id)
        row = Incident(space_id=space_id, visit_id=visit_id, at=now, text=text, by=by[:120])
        session.add(row)
    return row


def latest(session: Session) -> list[Incident]:
    """Return the latest notes of all spaces, the last first."""
    query = select(Incident).order_by(Incident.at.desc(), Incident.id.desc()).limit(LATEST)
    return list(session.scalars(query))


def purge_expired(session: Session, now: datetime) -> None:
    """Delete notes older than a year: they may name people."""
    with write(session):
        session.execute(delete(Incident).where(Incident.at < now - KEPT))
