"""What visitors ask the host to put right, and its answer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.desk.hub_messages import TOPIC_ANSWER
from node.hub import outbox
from node.visits.models import Correction, Visit
from node.visits.presence import subject_of
from shared.store.db import write
from shared.wire.problems import Problem


def waiting(session: Session, space_id: str) -> list[Correction]:
    """Return what was asked about visits at a space and is not settled, the oldest first."""
    query = (
        select(Correction)
        .join(Visit)
        .where(Visit.space_id == space_id, Visit.state != "void", Correction.answered_at.is_(None))
        .order_by(Correction.asked_at)
    )
    return list(session.scalars(query))


def answer(session: Session, node: Node, visit_id: str, words: str) -> Correction:
    """Say why a visit stands; the first answer is the one. Raises Problem."""
    with write(session):
        row = session.get(Correction, visit_id, with_for_update=True)
        if row is None:
            raise Problem("not-found")
        if row.answered_at is None:
            row.answer, row.answered_at = words, node.clock.now()
            key, payload = message(row)
            outbox.queue(
                session, node.clock.real(), TOPIC_ANSWER, key, payload, subject_of(visit_id)
            )
    return row


def message(row: Correction) -> tuple[str, dict[str, Any]]:
    """Return how the hub is told of an answer; what was asked goes with it, should that be lost."""
    body = {"answer": row.answer, "reason": row.reason, "asked_at": row.asked_at.isoformat()}
    return f"{TOPIC_ANSWER}:{row.visit_id}", {"id": row.visit_id, "body": body}
