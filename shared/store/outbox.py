"""Messages that leave the house: written with what caused them, delivered until answered.

A row goes ``pending`` → ``done``, or ``dead`` when the receiver says it will never take it. One
that fails by itself is ``stuck``, and goes on being tried, until somebody has it ``given-up``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

PENDING, DONE, DEAD, STUCK, GIVEN_UP = "pending", "done", "dead", "stuck", "given-up"
# A receiver that is away is asked again soon at first, then every minute, for ever.
RETRY_SECONDS = (1, 2, 5, 10, 30, 60)
_WAITS = text("state IN ('pending', 'stuck')")


def next_attempt(now: datetime, attempts: int) -> datetime:
    """Return when to try again after so many failed attempts."""
    return now + timedelta(seconds=RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1])


class OutboxColumns:
    """``topic`` says what the payload is; ``key`` is unique, so nothing is queued twice.

    Those on one ``subject`` are delivered in their order. ``attempts`` are those that failed while
    others got through.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80), unique=True)
    subject: Mapped[str] = mapped_column(String(80))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10), default=PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))

    __table_args__: Any = (
        CheckConstraint("state IN ('pending', 'done', 'dead', 'stuck', 'given-up')", name="state"),
        Index("ix_outbox_due", "state", "id"),
        Index("ix_outbox_waits", "subject", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("ix_outbox_done_at", "done_at"),
    )
