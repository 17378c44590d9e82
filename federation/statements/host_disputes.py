"""The coordination's dispute over a suspended host: all that it counts in no final month.

One dispute, one decision; its visits are held, and settled, each in a short transaction of its
own, so that doors wait for none of it. What was interrupted is finished by the jobs process.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from federation.audit.service import JOBS, audit
from federation.charters import service as charters
from federation.nodes.models import Node
from federation.statements import disputes
from federation.statements.models import Dispute, HostDispute, Statement, StatementLine
from federation.visits.models import HalfDayLine, Visit
from shared.store.db import release, write
from shared.wire.problems import Problem

LAPSED = "nobody decided in time"


def hold_lines_of_host(
    session: Session, now: datetime, host_id: str, reason: str, actor: str
) -> HostDispute:
    """Hold what a suspended host counts in no final month. Raises Problem.

    Doing it again changes nothing but what was interrupted, which goes on.
    """
    with write(session):
        node = session.get(Node, host_id, with_for_update=True)
        found = open_one(session, host_id)
        if found is None:
            if node is None:
                raise Problem("not-found")
            if node.state != "suspended":
                raise Problem("conflict", "this node is not suspended")
            found = HostDispute(host_id=host_id, reason=reason, state="open", opened_at=now)
            session.add(found)
            audit(session, now, actor, "host-held", host_id, reason=reason)
    _hold(session, now, found)
    return session.get_one(HostDispute, found.id)


def settle(
    session: Session, now: datetime, number: int, outcome: str, words: str, actor: str
) -> HostDispute:
    """Decide: ``upheld`` undoes all the visits, ``rejected`` lets them count. Raises Problem."""
    with write(session):
        found = session.get(HostDispute, number, with_for_update=True, populate_existing=True)
        if found is None:
            raise Problem("not-found")
        if found.state not in ("open", outcome):
            raise Problem("conflict", "this dispute is settled")
        if found.state == "open":
            found.state, found.decision, found.decided_at = outcome, words, now
            told = {"before": "open", "after": outcome, "reason": words}
            audit(session, now, actor, f"host-{outcome}", found.host_id, **told)
    _settle_visits(session, now, found, actor)
    return session.get_one(HostDispute, number)


def go_on(session: Session, now: datetime) -> None:
    """Finish what was interrupted; let lapse what nobody has decided in time.

    The charter's days for disputes begin when the host is seen to be suspended no more.
    """
    for number in session.scalars(select(HostDispute.id).where(HostDispute.state == "open")).all():
        found = _note_end(session, now, number)
        if found.due_at is not None and now >= found.due_at:
            settle(session, now, number, disputes.REJECTED, LAPSED, JOBS)
        elif found.state == "open":
            _hold(session, now, found)
    unsettled = (
        select(HostDispute)
        .join(Dispute, Dispute.of_host == HostDispute.id)
        .where(HostDispute.state != "open", Dispute.state == "open")
        .distinct()
    )
    for found in session.scalars(unsettled).all():
        _settle_visits(session, now, found, JOBS)


def _note_end(session: Session, now: datetime, number: int) -> HostDispute:
    with write(session):
        found = session.get_one(HostDispute, number, with_for_update=True, populate_existing=True)
        state = session.get_one(Node, found.host_id, populate_existing=True).state
        if state == "suspended":
            found.due_at = None
        elif found.due_at is None and found.state == "open":
            days = charters.in_force(session).rules.dispute.days
            found.due_at = now + timedelta(days=days)
    return found


def _hold(session: Session, now: datetime, found: HostDispute) -> None:
    """Hold what is not held yet, but for what was told after the host was let in again."""
    if found.due_at is not None:
        return
    last = session.scalars(select(Statement).order_by(Statement.month.desc()).limit(1)).first()
    month = last.month if last is not None and last.state != "final" else None
    number = found.id
    of_it = exists().where(Dispute.visit_id == Visit.id, Dispute.of_host == number)
    query = _countable(found.host_id).where(~of_it).order_by(Visit.id)
    visits = session.scalars(query).all()
    release(session)
    for visit_id in visits:
        disputes.contest(session, now, number, month, visit_id)


def _countable(host_id: str) -> Select[str]:
    """Select the host's visits that count something, nothing of it in a final month."""
    lines = exists().where(HalfDayLine.visit_id == Visit.id)
    final = lines.where(StatementLine.line_id == HalfDayLine.id).where(
        Statement.month == StatementLine.month, Statement.state == "final"
    )
    return select(Visit.id).where(
        Visit.host_id == host_id,
        Visit.home_id != host_id,
        Visit.state != "void",
        Visit.held.is_(None),
        lines,
        ~final,
    )


def _settle_visits(session: Session, now: datetime, found: HostDispute, actor: str) -> None:
    of_it = select(Dispute.id).where(Dispute.of_host == found.id, Dispute.state == "open")
    numbers = session.scalars(of_it.order_by(Dispute.id)).all()
    outcome, words = found.state, found.decision or ""
    release(session)
    for number in numbers:
        disputes.settle(session, now, number, outcome, words, actor)


# Reading


def count(session: Session, host_id: str) -> int:
    """Return how many visits could be held of a host."""
    return session.scalar(select(func.count()).select_from(_countable(host_id).subquery())) or 0


def open_one(session: Session, host_id: str) -> HostDispute | None:
    """Return the dispute over a host that is not settled, if there is one."""
    query = select(HostDispute).where(HostDispute.host_id == host_id, HostDispute.state == "open")
    return session.scalar(query)


def of_hosts(session: Session, limit: int) -> list[tuple[HostDispute, int]]:
    """Return the disputes over hosts, those that are open first, each with its visits' number."""
    count = select(func.count()).where(Dispute.of_host == HostDispute.id).scalar_subquery()
    query = select(HostDispute, count).order_by(
        HostDispute.state != "open", HostDispute.opened_at.desc(), HostDispute.id.desc()
    )
    return [(row, number) for row, number in session.execute(query.limit(limit))]
