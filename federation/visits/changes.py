"""What changes of a visit afterwards: somebody leaves, it is undone, decided on, or closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from charter.timeline import GRACE
from federation.audit.service import audit
from federation.charters import service as charters
from federation.nodes.models import Node
from federation.visits import ledger
from federation.visits.models import Member, Visit
from shared.base.clock import Clock
from shared.store.db import release, write
from shared.wire.problems import Problem

# Called in the transaction in which a visit is undone; rooms above add what follows from it.
ON_VOID: list[Callable[[Session, Visit, datetime], None]] = []


def lock_visit(session: Session, visit_id_: str, host_id: str | None = None) -> Visit:
    """Return a visit, its person locked; a host's own, where one is named.

    Raises Problem("not-found").
    """
    visit = session.get(Visit, visit_id_)
    if visit is None or host_id not in (None, visit.host_id):
        raise Problem("not-found")
    while True:
        member_id = visit.member_id
        session.scalars(select(Member.id).where(Member.id == member_id).with_for_update()).all()
        session.refresh(visit)
        if visit.member_id == member_id:
            return visit


def settle(session: Session, visit: Visit, now: datetime) -> None:
    """Let all follow from a visit that has changed, its person locked, in this transaction."""
    found = ledger.person(session, visit.member_id, visit.started_at)
    found.settle(charters.split(session), now, visit)


def check_out(session: Session, clock: Clock, host_id: str, visit_id_: str, at: datetime) -> Visit:
    """Note when somebody left; of several times that are told, the earliest counts. Raises Problem.

    It never makes a visit longer than its closing, as published, or the person's next visit do.
    """
    with write(session):
        visit = lock_visit(session, visit_id_, host_id)
        now = clock.now()
        left = max(visit.started_at, min(at, now))
        if visit.state != "void" and (visit.left_at is None or left < visit.left_at):
            visit.left_at = left
            settle(session, visit, now)
    return visit


def void(
    session: Session, clock: Clock, host_id: str, visit_id_: str, reason: str, at: datetime
) -> Visit:
    """Reverse a visit that was a mistake, while the charter allows it. Raises Problem.

    What it counted is reversed by new lines; a half-day that another visit touches as well is
    then counted for that one. A host that was cut off has its delay from when it could tell of the
    visit; when it says that it undid it, it is believed for as long as the charter lets a door be
    cut off.
    """
    with write(session):
        visit = lock_visit(session, visit_id_, host_id)
        if visit.state == "void":
            return visit
        rules, now = charters.in_force(session).rules, clock.now()
        undone_at = max(min(at, now), now - timedelta(hours=rules.offline.trust_list_hours))
        told_at = visit.started_at if visit.online else visit.recorded_at
        if undone_at > told_at + timedelta(hours=rules.correction.hours):
            raise Problem("visit-closed")
        undo(session, visit, reason, now)
        # The words stay with the visit: the log forgets nothing, and they may name somebody.
        audit(session, now, f"node:{host_id}", "void", visit.id)
    return visit


def undo(session: Session, visit: Visit, reason: str, now: datetime) -> None:
    """Undo a visit, its person locked, in the caller's transaction."""
    visit.ended_at = visit.ended_at or max(visit.started_at, min(now, visit.closes_at))
    visit.state, visit.void_reason, visit.changed_at = "void", reason[:300], now
    settle(session, visit, now)
    for follow in ON_VOID:
        follow(session, visit, now)


def void_by_dispute(session: Session, visit: Visit, words: str, now: datetime) -> None:
    """Undo a visit that was disputed with success: it never was, and cuts no other.

    In the caller's transaction, the person locked.
    """
    visit.upheld = True
    undo(session, visit, words, now)


def set_disputed(session: Session, visit: Visit, disputed: bool, now: datetime) -> None:
    """Note whether a dispute on a visit is open: it burns nobody's quota meanwhile."""
    if visit.disputed != disputed:
        visit.disputed, visit.changed_at = disputed, now


def decide_held(
    session: Session, now: datetime, visit_id_: str, *, counts: bool, reason: str, actor: str
) -> Visit:
    """Let a visit that was held count after all, or undo it; by a person. Raises Problem."""
    with write(session):
        visit = lock_visit(session, visit_id_)
        if visit.held is None or visit.state == "void":
            raise Problem("conflict", "this visit is not held")
        held = visit.held
        if counts:
            # Until it is known how it ends, it is over: the person may be somewhere else by now.
            visit.held, visit.state, visit.ended_at = (
                None,
                "closed",
                visit.ended_at or visit.started_at,
            )
            visit.flags, visit.changed_at = [*visit.flags, held], now
            settle(session, visit, now)
        else:
            undo(session, visit, reason, now)
        told = {"before": held, "after": "counted" if counts else "void", "reason": reason}
        audit(session, now, actor, "held-visit", visit.id, **told)
    return visit


def close_due(session: Session, now: datetime) -> int:
    """End the visits that nobody ended; return how many.

    A day after their closing, as published: a host that was cut off has so long to tell. At once
    where the host has left the network.
    """
    left = Node.state == "left"
    query = (
        select(Visit.id, left.label("left"))
        .join(Node, Node.id == Visit.host_id)
        .where(Visit.state == "open", or_(left, Visit.closes_at <= now - GRACE))
        .order_by(Visit.id)
    )
    due = session.execute(query).all()
    release(session)
    for row in due:
        with write(session):
            visit = lock_visit(session, row.id)
            if row.left and visit.left_at is None:
                visit.left_at = max(visit.started_at, min(now, visit.closes_at))
            settle(session, visit, now)
    return len(due)
