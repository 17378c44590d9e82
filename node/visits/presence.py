"""Who is here, and how a visit ends: check-out, undo, or closing time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import outbox
from node.hub import service as sync
from node.spaces import service as spaces
from node.visits.models import Visit
from shared.store.db import write
from shared.wire.problems import Problem

TOPIC_CHECK_OUT, TOPIC_VOID = "check-out", "void"


def subject_of(visit_id: str) -> str:
    """Return what all messages about a visit are about: they are told in their order."""
    return f"visit:{visit_id}"


def check_out(session: Session, node: Node, visit_id_: str, at: datetime | None = None) -> Visit:
    """End a visit, now or at a given time; ending it again changes nothing. Raises Problem."""
    with write(session):
        visit = _own_visit(session, visit_id_)
        if visit.state == "open":
            ended = max(at or node.clock.now(), visit.started_at)
            visit.state, visit.ended_at = "closed", ended
            _tell(session, node, visit, TOPIC_CHECK_OUT, {"at": ended.isoformat()})
    return visit


def void(session: Session, node: Node, visit_id_: str, reason: str) -> Visit:
    """Undo a check-in that was a mistake, while the charter allows it. Raises Problem."""
    known = sync.network(session, node)
    now = node.clock.now()
    with write(session):
        visit = _own_visit(session, visit_id_)
        if visit.state != "void":
            hours = known.charter.rules.correction.hours if known else 0
            if now > visit.started_at + timedelta(hours=hours):
                raise Problem("visit-closed")
            visit.state, visit.ended_at = "void", visit.ended_at or max(now, visit.started_at)
            _tell(session, node, visit, TOPIC_VOID, {"at": now.isoformat(), "reason": reason})
    return visit


def _own_visit(session: Session, visit_id_: str) -> Visit:
    visit = session.scalar(select(Visit).where(Visit.id == visit_id_).with_for_update())
    if visit is None or visit.state == "held":
        raise Problem("not-found")
    return visit


def _tell(session: Session, node: Node, visit: Visit, topic: str, body: dict[str, Any]) -> None:
    if not visit.local:
        payload = {"id": visit.id, "body": body}
        now, subject = node.clock.real(), subject_of(visit.id)
        outbox.queue(session, now, topic, f"{topic}:{visit.id}", payload, subject)


def presence(session: Session, space_id: str) -> list[Visit]:
    """Return who is at a space, the latest arrival first. Raises Problem."""
    spaces.space(session, space_id)
    query = select(Visit).where(Visit.space_id == space_id, Visit.state == "open")
    return list(session.scalars(query.order_by(Visit.started_at.desc())))


def close_forgotten(session: Session, node: Node) -> int:
    """End visits that nobody ended, at their space's closing time; drop holds that expired."""
    now = node.clock.now()
    query = select(Visit.id, Visit.closes_at).where(Visit.state == "open", Visit.closes_at <= now)
    due = session.execute(query).all()
    for visit_id_, closes_at in due:
        check_out(session, node, visit_id_, closes_at)
    with write(session):
        for hold in session.scalars(
            select(Visit).where(Visit.state == "held", Visit.held_until < now)
        ):
            session.delete(hold)
    return len(due)
