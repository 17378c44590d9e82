"""When the hub was last heard of; and what waits to be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.hub.models import Enrolment, Outbox
from shared.store.db import write
from shared.store.outbox import DEAD, PENDING, STUCK

MOST_SHOWN = 50


def note_hub(session: Session, now: datetime, told: Mapping[str, Any]) -> None:
    """Note that the hub answered, and how it last asked for our publication."""
    with write(session):
        row = session.get(Enrolment, 1, with_for_update=True)
        if row is not None:
            row.heard_at = now
            if told.get("harvested_at"):
                row.harvested_at = datetime.fromisoformat(told["harvested_at"])
            row.harvest_fault = (told.get("harvest_fault") or "")[:200] or None


def messages(session: Session) -> list[Outbox]:
    """Return what is stuck, what was refused for good, the latest first, and then what waits."""
    found: list[Outbox] = []
    orders = ((STUCK, Outbox.id), (DEAD, Outbox.id.desc()), (PENDING, Outbox.id))
    for state, order in orders:
        query = select(Outbox).where(Outbox.state == state).order_by(order).limit(MOST_SHOWN)
        found += session.scalars(query)
    return found
