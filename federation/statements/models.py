"""Issued months, and what was said against their lines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import db
from federation.visits.models import Visit


class Statement(db.Model):
    """A month that was issued. Its lines are those up to ``cutoff`` that no earlier month took.

    ``excluded`` are the visits whose lines wait for a dispute: they are in the next month that is
    issued after it is settled. ``revision`` goes up with every change of them, and of the state.
    """

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    state: Mapped[str] = mapped_column(String(6))
    revision: Mapped[int] = mapped_column(default=1)
    cutoff: Mapped[int] = mapped_column(BigInteger)
    charter: Mapped[str] = mapped_column(ForeignKey("charter_version.version"))
    nodes: Mapped[list[str]]
    carried: Mapped[dict[str, Any]]
    excluded: Mapped[list[str]]
    issued_at: Mapped[datetime]
    final_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('issued', 'final')", name="state"),
        CheckConstraint("state <> 'final' OR final_at IS NOT NULL", name="final"),
    )


class Dispute(db.Model):
    """A home or a host says that a visit should not count, and why; once settled, it stays."""

    id: Mapped[int] = mapped_column(primary_key=True)
    month: Mapped[str] = mapped_column(ForeignKey("statement.month"))
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"))
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    reason: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(9), default="open")
    opened_at: Mapped[datetime]
    decision: Mapped[str | None] = mapped_column(String(500))
    decided_at: Mapped[datetime | None]

    visit: Mapped[Visit] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint("state IN ('open', 'upheld', 'rejected', 'withdrawn')", name="state"),
        CheckConstraint("state = 'open' OR decided_at IS NOT NULL", name="decided"),
        # A visit is disputed by one of the two at a time.
        Index(
            "uq_dispute_open_visit",
            "visit_id",
            unique=True,
            sqlite_where=db.text("state = 'open'"),
            postgresql_where=db.text("state = 'open'"),
        ),
    )


class LogCheck(db.Model):
    """A node's word on a month: whether its own log of visits hosted is what the hub has."""

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    visits: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    agrees: Mapped[bool]
    checked_at: Mapped[datetime]
