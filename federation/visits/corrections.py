"""What visitors ask to have put right: by way of their home, answered by the host.

Asking changes nothing in the account: the host undoes the visit within the charter's delay, or says
why not; after the delay the month's statement is where a line is contested (article 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.visits.models import Correction, HalfDayLine, Member, Visit
from shared.store.db import write
from shared.wire.problems import Problem


def ask(
    session: Session, now: datetime, home_id: str, member: str, visit_id: str, reason: str
) -> Visit:
    """Note what a home's member says of one of their visits. Raises Problem.

    Asking again in the same words changes nothing; a visit has one correction.
    """
    with write(session):
        visit = _locked(session, visit_id, Visit.home_id == home_id)
        own = session.get_one(Member, visit.member_id).reference == member
        if not own or visit.state == "void":
            raise Problem("not-found" if not own else "visit-closed")
        known = session.get(Correction, visit_id)
        if known is not None and known.reason != reason:
            raise Problem("conflict", "this visit has a request already")
        if known is None:
            session.add(Correction(visit_id=visit_id, reason=reason, asked_at=now))
            visit.changed_at = now
            audit(session, now, f"node:{home_id}", "correction", visit_id)
    return visit


def answer(
    session: Session,
    now: datetime,
    host_id: str,
    visit_id: str,
    words: str,
    asked: tuple[str, datetime] | None = None,
) -> Visit:
    """Note the host's answer; the first one stands. Raises Problem.

    ``asked`` is what it answers and since when, should we have lost that.
    """
    with write(session):
        visit = _locked(session, visit_id, Visit.host_id == host_id)
        known = session.get(Correction, visit_id)
        if known is None and asked is not None:
            known = Correction(visit_id=visit_id, reason=asked[0], asked_at=min(asked[1], now))
            session.add(known)
        if known is None:
            raise Problem("not-found")
        if known.answered_at is None:
            known.answer, known.answered_at, visit.changed_at = words, now, now
            audit(session, now, f"node:{host_id}", "correction-answered", visit_id)
    return visit


def _locked(session: Session, visit_id: str, condition: Any) -> Visit:
    query = select(Visit).where(Visit.id == visit_id, condition).with_for_update()
    visit = session.scalar(query)
    if visit is None:
        raise Problem("not-found")
    return visit


def about(session: Session, visit_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return for each visit what it counts so far in half-days, and what was asked about it."""
    lines = select(HalfDayLine.visit_id, func.sum(HalfDayLine.quantity))
    lines = lines.where(HalfDayLine.visit_id.in_(visit_ids)).group_by(HalfDayLine.visit_id)
    counts = {row[0]: int(row[1]) for row in session.execute(lines)}
    query = select(Correction).where(Correction.visit_id.in_(visit_ids))
    asked = {row.visit_id: _shown(row) for row in session.scalars(query)}
    return {
        visit_id: {"half_days": counts.get(visit_id, 0), "correction": asked.get(visit_id)}
        for visit_id in visit_ids
    }


def _shown(row: Correction) -> dict[str, Any]:
    return {
        "reason": row.reason,
        "asked_at": row.asked_at.isoformat(),
        "answer": row.answer,
        "answered_at": row.answered_at.isoformat() if row.answered_at else None,
    }
