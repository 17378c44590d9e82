"""Issued months, where each line stands, and what was said against the lines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import Model, db
from federation.visits.models import Visit


class Statement(Model):
    """A month that is being issued (``closing``), is issued, or is final.

    Its lines are those that ``StatementLine`` counts in it. ``revision`` goes up whenever these
    change, and when the state does: a document is kept only if it is still of that revision.
    ``carried`` is what barter brought forward. ``floor``: when the month was issued, every line
    with a lower number had been taken or held, so that free ones are looked for above it.
    """

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    state: Mapped[str] = mapped_column(String(7))
    revision: Mapped[int] = mapped_column(default=0)
    charter: Mapped[str] = mapped_column(ForeignKey("charter_version.version"))
    nodes: Mapped[list[str]]
    carried: Mapped[dict[str, Any]]
    floor: Mapped[int] = mapped_column(BigInteger, default=0, server_default=db.text("0"))
    issued_at: Mapped[datetime | None]
    final_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('closing', 'issued', 'final')", name="state"),
        CheckConstraint("(state = 'closing') = (issued_at IS NULL)", name="issued"),
        CheckConstraint("(state = 'final') = (final_at IS NOT NULL)", name="final"),
    )


class StatementLine(Model):
    """Where a line of the ledger stands: counted in a month, or held by a dispute.

    A line without a row is free. One that is held has the month that it was counted in, while
    that is not final.
    """

    line_id: Mapped[int] = mapped_column(ForeignKey("half_day_line.id"), primary_key=True)
    month: Mapped[str | None] = mapped_column(ForeignKey("statement.month"))
    state: Mapped[str] = mapped_column(String(7))

    __table_args__ = (
        CheckConstraint("state IN ('counted', 'held')", name="state"),
        CheckConstraint("state = 'held' OR month IS NOT NULL", name="month"),
        Index("ix_statement_line_month", "month", "state"),
    )


class StatementDocument(Model):
    """A month's document as it was signed; one node's own, where ``node_id`` is not empty.

    ``body`` is the canonical JSON, packed with zlib; ``protected`` and ``signature`` are the
    other two parts of its JWS. ``head`` is all but the lines, ``pairs`` the half-days by home and
    host. Those of an earlier revision go when there is a later one.
    """

    month: Mapped[str] = mapped_column(ForeignKey("statement.month"), primary_key=True)
    node_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    revision: Mapped[int]
    head: Mapped[dict[str, Any]]
    pairs: Mapped[list[Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    protected: Mapped[str] = mapped_column(String(300))
    signature: Mapped[str] = mapped_column(String(200))


class HostDispute(Model):
    """The coordination holds what a suspended host counts in no final month, until it decides.

    It is one dispute over many visits, each of which has a ``Dispute`` of its own. ``due_at`` is
    when it lapses, undecided: once the host is suspended no more, so many days later.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    reason: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(9), default="open")
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    decision: Mapped[str | None] = mapped_column(String(500))
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('open', 'upheld', 'rejected')", name="state"),
        CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
        Index(
            "uq_host_dispute_open",
            "host_id",
            unique=True,
            sqlite_where=db.text("state = 'open'"),
            postgresql_where=db.text("state = 'open'"),
        ),
    )


class Dispute(Model):
    """A home or a host says that a visit should not count, and why; once settled, it stays.

    Each of the two may say so once of a visit. Its lines are held while one of them is open.
    One of the coordination is a part of its dispute over a host, ``of_host``, with which it is
    settled: it has no node, and a month only if the visit's lines were in one.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    month: Mapped[str | None] = mapped_column(ForeignKey("statement.month"))
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"))
    node_id: Mapped[str | None] = mapped_column(ForeignKey("node.id"))
    of_host: Mapped[int | None] = mapped_column(ForeignKey("host_dispute.id"))
    reason: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(9), default="open")
    opened_at: Mapped[datetime]
    decision: Mapped[str | None] = mapped_column(String(500))
    decided_at: Mapped[datetime | None]

    visit: Mapped[Visit] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint("state IN ('open', 'upheld', 'rejected', 'withdrawn')", name="state"),
        CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(node_id IS NULL) = (of_host IS NOT NULL)", name="by"),
        CheckConstraint("node_id IS NULL OR month IS NOT NULL", name="month"),
        UniqueConstraint("visit_id", "node_id"),
        UniqueConstraint("of_host", "visit_id"),
        Index("ix_dispute_month", "month"),
        Index(
            "ix_dispute_open",
            "visit_id",
            sqlite_where=db.text("state = 'open'"),
            postgresql_where=db.text("state = 'open'"),
        ),
    )


class LogCheck(Model):
    """A node's word on a month: whether its own log of visits hosted is what the hub has."""

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    visits: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    agrees: Mapped[bool]
    checked_at: Mapped[datetime]
