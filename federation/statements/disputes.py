"""What a home, a host or the coordination says against a visit's lines, and how it is settled.

Locks are taken in one order: the person, the month, the disputes. What was read before is read
again under its lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.statements import claims
from federation.statements.models import Dispute, HostDispute, Statement
from federation.statements.service import deadline
from federation.visits import changes as visits
from federation.visits.models import Visit
from shared.store.db import write
from shared.wire.problems import Problem

REJECTED, UPHELD, WITHDRAWN = "rejected", "upheld", "withdrawn"


def dispute(
    session: Session, now: datetime, month: str, node_id: str, visit_id: str, reason: str
) -> tuple[Dispute, bool]:
    """Contest one visit's lines in an issued month, as its home or its host. Raises Problem.

    Returns the dispute, and whether it is new: each of the two contests a visit once, and what
    it said first is what is settled.
    """
    with write(session):
        visit = visits.lock_visit(session, visit_id)
        if node_id not in (visit.home_id, visit.host_id):
            raise Problem("not-found")
        row = claims.lock_month(session, month)
        own = select(Dispute).where(Dispute.visit_id == visit_id, Dispute.node_id == node_id)
        known = session.scalar(own)
        if known is not None:
            return session.get_one(Dispute, known.id), False
        if row is None or row.state != "issued" or now >= deadline(session, row):
            final = row is not None and row.state != "closing"
            raise Problem(
                "conflict", "its lines are final" if final else "this month is not issued yet"
            )
        if not claims.has_visit(session, month, visit_id):
            raise Problem("not-found", "this month has no line of this visit")
        found = Dispute(
            month=month,
            visit_id=visit_id,
            node_id=node_id,
            reason=reason,
            opened_at=now,
            state="open",
        )
        session.add(found)
        _open(session, now, row, visit)
        audit(session, now, f"node:{node_id}", "dispute", visit_id, month=month)
    return found, True


def settle(
    session: Session, now: datetime, dispute_id: int, outcome: str, words: str, actor: str
) -> Dispute:
    """Decide a dispute: ``upheld`` undoes the visit, ``rejected`` or ``withdrawn`` lets it stand.

    Raises Problem. A visit that stands is back in its month while that is not final, else in
    the next one. What is undone and its reversal are both of the next month, and nothing there.
    """
    with write(session):
        known = session.get(Dispute, dispute_id)
        if known is None:
            raise Problem("not-found")
        visit = visits.lock_visit(session, known.visit_id)
        row = _month(session, known.month)
        (found,) = _locked(session, Dispute.id == dispute_id)
        if found.state not in ("open", outcome):
            raise Problem("conflict", "this dispute is settled")
        if found.state == "open":
            if outcome == UPHELD:
                _uphold(session, now, row, visit, words, actor)
                if visit.state != "void":
                    visits.void_by_dispute(session, visit, words, now)
            else:
                _close(session, now, found, outcome, words, actor)
                _let_stand(session, now, row, visit)
    return found


def settle_voided(session: Session, visit: Visit, now: datetime) -> None:
    """Settle what is said against a visit that its host undoes: it was right.

    Within the transaction of whoever undoes it, and holds the person.
    """
    query = select(Dispute.month).where(Dispute.visit_id == visit.id, Dispute.state == "open")
    for month in sorted(set(session.scalars(query)), key=str):
        row = _month(session, month)
        _uphold(session, now, row, visit, visit.void_reason or "", f"node:{visit.host_id}")


def contest(
    session: Session, now: datetime, of_host: int, month: str | None, visit_id: str
) -> None:
    """Add a visit to the coordination's dispute over its host; its lines are held. Commits.

    ``month`` is the one that is not final, if there is one. A visit that is held for want of
    proof counts nothing: it is left out, as is one that was undone meanwhile.
    """
    with write(session):
        visit = visits.lock_visit(session, visit_id)
        row = _month(session, month)
        over = session.get_one(
            HostDispute, of_host, with_for_update={"read": True}, populate_existing=True
        )
        known = select(Dispute.id).where(Dispute.visit_id == visit_id, Dispute.of_host == of_host)
        late = over.state != "open" or (row is not None and row.state == "final")  # meanwhile
        if late or visit.state == "void" or visit.held or session.scalar(known) is not None:
            return
        if row is not None and not claims.has_visit(session, row.month, visit_id):
            row = None
        found = Dispute(
            month=row.month if row is not None else None,
            visit_id=visit_id,
            of_host=of_host,
            reason=over.reason,
            opened_at=now,
            state="open",
        )
        session.add(found)
        _open(session, now, row, visit)


# What happens to the lines, as the account says


def _month(session: Session, month: str | None) -> Statement | None:
    return claims.lock_month(session, month) if month is not None else None


def _open(session: Session, now: datetime, row: Statement | None, visit: Visit) -> None:
    claims.hold(session, visit.id, row.month if row is not None else None)
    visits.set_disputed(session, visit, True, now)
    if row is not None:
        row.revision += 1


def _uphold(
    session: Session,
    now: datetime,
    row: Statement | None,
    visit: Visit,
    words: str,
    actor: str,
) -> None:
    """Settle all that is said against the visit, by whomever."""
    for each in _locked(session, Dispute.visit_id == visit.id, Dispute.state == "open"):
        _close(session, now, each, UPHELD, words, actor)
    claims.release(session, visit.id)
    visits.set_disputed(session, visit, False, now)
    _changed(row)


def _let_stand(session: Session, now: datetime, row: Statement | None, visit: Visit) -> None:
    """Count the visit again, unless somebody else contests it still."""
    session.flush()
    if not _locked(session, Dispute.visit_id == visit.id, Dispute.state == "open"):
        claims.restore(session, visit.id)
        visits.set_disputed(session, visit, False, now)
        _changed(row)


def _changed(row: Statement | None) -> None:
    if row is not None and row.state == "issued":
        row.revision += 1


def _close(
    session: Session, now: datetime, found: Dispute, outcome: str, words: str, actor: str
) -> None:
    found.state, found.decision, found.decided_at = outcome, words[:500], now
    told = {"before": "open", "after": outcome, "month": found.month}
    audit(session, now, actor, f"dispute-{outcome}", found.visit_id, **told)


def _locked(session: Session, *conditions: ColumnElement[bool]) -> Sequence[Dispute]:
    query = select(Dispute).where(*conditions).order_by(Dispute.id)
    query = query.with_for_update(of=Dispute).execution_options(populate_existing=True)
    return session.scalars(query).all()


# Reading


def dispute_by(session: Session, dispute_id: int) -> Dispute:
    """Return a home's or a host's dispute. Raises Problem("not-found")."""
    row = session.get(Dispute, dispute_id)
    if row is None or row.of_host is not None:
        raise Problem("not-found")
    return row


def disputes(
    session: Session,
    month: str,
    node_id: str | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[Dispute]:
    """Return what homes and hosts said against a month's lines, the oldest first.

    Of one node's alone, where it is given. What the coordination holds of a host is elsewhere.
    """
    query = select(Dispute).join(Visit).where(Dispute.month == month, Dispute.id > after)
    query = query.where(Dispute.of_host.is_(None))
    if node_id is not None:
        query = query.where((Visit.home_id == node_id) | (Visit.host_id == node_id))
    return list(session.scalars(query.order_by(Dispute.id).limit(limit)))
