"""The charter's versions, the votes on them, and which nodes signed them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import db


class CharterVersion(db.Model):
    """One version: its sources as voted and signed. At most one is in force, one under way.

    A proposal is ``open`` to votes, then ``rejected``, ``withdrawn``, or ``adopted``: it comes
    into force at ``effective_at``, and the version before is ``past``. ``opened_at`` is when the
    vote on this very text began; the first version was voted by nobody.
    """

    version: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    sources: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(12))
    argument: Mapped[str] = mapped_column(Text, default="")
    proposed_by: Mapped[str | None] = mapped_column(ForeignKey("node.id"))
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    outcome: Mapped[dict[str, Any] | None]
    effective_at: Mapped[datetime | None]
    adopted_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'rejected', 'withdrawn', 'adopted', 'in_force', 'past')",
            name="state",
        ),
        CheckConstraint("state <> 'adopted' OR effective_at IS NOT NULL", name="effective"),
        Index(
            "uq_charter_version_in_force",
            "state",
            unique=True,
            sqlite_where=db.text("state IN ('in_force', 'open', 'adopted')"),
            postgresql_where=db.text("state IN ('in_force', 'open', 'adopted')"),
        ),
    )


class Ballot(db.Model):
    """What an operator said of one text, by its hash; the latest of each is the one that counts."""

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("charter_version.version"), index=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    choice: Mapped[str] = mapped_column(String(7))
    reason: Mapped[str] = mapped_column(String(2000))
    at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("choice IN ('yes', 'no', 'abstain')", name="choice"),
        CheckConstraint("choice <> 'no' OR reason <> ''", name="reason"),
    )


class Signature(db.Model):
    """A node's JWS over a version's hash."""

    version: Mapped[str] = mapped_column(ForeignKey("charter_version.version"), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    jws: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime]
