"""Telling the hub again what it has lost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from node.sync.models import Outbox
from node.sync.service import queue
from shared import outbox
from shared.db import begin_write


def queue_again(
    session: Session, now: datetime, topic: str, key: str, payload: dict[str, Any]
) -> bool:
    """Queue a message behind all others although it was told before; one that waits is enough."""
    row = session.scalar(select(Outbox).where(Outbox.key == key))
    if row is not None and row.state == outbox.PENDING:
        return False
    if row is not None:
        session.delete(row)
        session.flush()
    queue(session, now, topic, key, payload)
    return True


def is_queued(session: Session, key: str) -> bool:
    """Tell whether a message waits to be delivered."""
    query = select(Outbox.id).where(Outbox.key == key, Outbox.state == outbox.PENDING)
    return session.scalar(query) is not None


def revive(session: Session, now: datetime, fault: str) -> None:
    """Let messages wait again that were refused for a reason that holds no longer."""
    begin_write(session)
    session.execute(
        update(Outbox)
        .where(Outbox.state == outbox.DEAD, Outbox.error.contains(f"/problems/{fault}"))
        .values(state=outbox.PENDING, next_attempt_at=now, done_at=None)
    )
    session.commit()
