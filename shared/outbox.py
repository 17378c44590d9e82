"""Messages that leave the house: written with what caused them, delivered until answered.

A row goes ``pending`` → ``done``, or ``dead`` when the receiver says it will never take it;
a dead one steps aside, is shown, and holds nobody up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

PENDING, DONE, DEAD = "pending", "done", "dead"
# A receiver that is away is asked again soon at first, then every minute, for ever.
RETRY_SECONDS = (1, 2, 5, 10, 30, 60)


def next_attempt(now: datetime, attempts: int) -> datetime:
    """Return when to try again after so many failed attempts."""
    return now + timedelta(seconds=RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1])


class OutboxColumns:
    """``topic`` says what the payload is; ``key`` is unique, so nothing is queued twice."""

    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80), unique=True)
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10), default=PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))

    __table_args__: Any = (
        CheckConstraint("state IN ('pending', 'done', 'dead')", name="state"),
        Index("ix_outbox_due", "state", "id"),
    )
