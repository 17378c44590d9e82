"""From a closed vote to the charter in force."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import voting
from federation.audit.service import JOBS, audit
from federation.charters import votes
from federation.charters.models import CharterVersion
from federation.nodes import trust_changes
from shared.store.db import write

# Between the end of a vote and its effect: time for every operator to sign.
SIGNATURE_WINDOW = timedelta(days=14)
UNDER_WAY = ("open", "adopted")


def advance(session: Session, now: datetime) -> None:
    """Close the votes that are due, and put in force what was adopted and is due.

    A vote's result is as of its deadline, however late this is called. Versions come into force in
    the order of their effect, and each takes the place of the one before, whatever their numbers.
    """
    with write(session):
        query = select(CharterVersion).where(CharterVersion.state.in_(UNDER_WAY))
        rows = session.scalars(query.order_by(CharterVersion.number).with_for_update()).all()
        for row in rows:
            if row.state == "open":
                _close(session, row, now)
        due = [
            (row.effective_at, row.number, row)
            for row in rows
            if row.state == "adopted" and row.effective_at is not None and row.effective_at <= now
        ]
        for _, _, row in sorted(due, key=lambda each: each[:2]):
            _put_in_force(session, row, now)


def _close(session: Session, row: CharterVersion, now: datetime) -> None:
    found = votes.outcome(session, row, now)
    if found.state == voting.OPEN or row.closes_at is None:
        return
    row.closed_at, row.state = row.closes_at, found.state
    row.outcome = votes.counted(found, len(row.electorate or ()))
    if found.state == voting.ADOPTED:
        row.adopted_at = row.closes_at
        row.effective_at = row.closes_at + SIGNATURE_WINDOW
    told = {"before": "open", "after": row.state, **row.outcome}
    audit(session, now, JOBS, "vote-closed", f"charter:{row.version}", **told)


def _put_in_force(session: Session, row: CharterVersion, now: datetime) -> None:
    current = session.scalar(select(CharterVersion).where(CharterVersion.state == "in_force"))
    if current is not None:
        current.state = "past"
        session.flush()
    row.state = "in_force"
    trust_changes.note(session)
    told = {"before": current and current.version, "after": row.version}
    audit(session, now, JOBS, "in-force", f"charter:{row.version}", **told)
    session.flush()
