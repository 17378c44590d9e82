"""The charter's versions, the votes on them, and which nodes signed them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import Model, db


class CharterVersion(Model):
    """One version: its sources as voted and signed. At most one is in force.

    A proposal is ``open`` to votes, then ``rejected``, ``withdrawn``, or ``adopted``: it comes
    into force at ``effective_at``, and the version before is ``past``. Each operator has at most
    one that is open; several may be open, and several adopted, at once.

    What was promised when the vote opened, or opened anew after an edit, is written here and does
    not change: ``closes_at``, the rule (``days``, ``quorum`` and ``majority`` as ``Fraction``
    writes them) and the ``electorate``, ids of the operators with a voice. ``base`` is the version
    that was in force then, and ``proposal_sha256`` is over all that voters read. The first version
    was voted by nobody: it has none of this.
    """

    version: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    sources: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(12))
    argument: Mapped[str] = mapped_column(Text, default="")
    proposal_sha256: Mapped[str | None] = mapped_column(String(64))
    proposed_by: Mapped[str | None] = mapped_column(ForeignKey("node.id"))
    base: Mapped[str | None] = mapped_column(String(20))
    opened_at: Mapped[datetime | None]
    closes_at: Mapped[datetime | None]
    days: Mapped[int | None]
    quorum: Mapped[str | None] = mapped_column(String(24))
    majority: Mapped[str | None] = mapped_column(String(24))
    electorate: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    closed_at: Mapped[datetime | None]
    # why it was withdrawn: by who proposed it, or because that operator was suspended or left
    withdrawn_because: Mapped[str | None] = mapped_column(String(12))
    outcome: Mapped[dict[str, Any] | None]
    effective_at: Mapped[datetime | None]
    adopted_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'rejected', 'withdrawn', 'adopted', 'in_force', 'past')",
            name="state",
        ),
        CheckConstraint("state <> 'adopted' OR effective_at IS NOT NULL", name="effective"),
        CheckConstraint(
            "state <> 'open' OR (closes_at IS NOT NULL AND quorum IS NOT NULL "
            "AND majority IS NOT NULL AND electorate IS NOT NULL)",
            name="terms",
        ),
        CheckConstraint(
            "withdrawn_because IN ('proposer', 'suspended', 'left')", name="withdrawn_because"
        ),
        Index(
            "uq_charter_version_in_force",
            "state",
            unique=True,
            sqlite_where=db.text("state = 'in_force'"),
            postgresql_where=db.text("state = 'in_force'"),
        ),
        Index(
            "uq_charter_version_open",
            "proposed_by",
            unique=True,
            sqlite_where=db.text("state = 'open'"),
            postgresql_where=db.text("state = 'open'"),
        ),
    )


class FormerText(Model):
    """What a proposal said before an edit: the first is number 1. Nothing changes it."""

    version: Mapped[str] = mapped_column(ForeignKey("charter_version.version"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sources: Mapped[dict[str, Any]]
    argument: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    proposal_sha256: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[datetime]
    # when it was edited, and by whom
    edited_at: Mapped[datetime]
    edited_by: Mapped[str] = mapped_column(ForeignKey("node.id"))


class Ballot(Model):
    """What an operator said of one proposal, by its hash; the latest of each is what counts."""

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("charter_version.version"), index=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    proposal_sha256: Mapped[str] = mapped_column(String(64))
    choice: Mapped[str] = mapped_column(String(7))
    reason: Mapped[str] = mapped_column(String(2000))
    at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("choice IN ('yes', 'no', 'abstain')", name="choice"),
        CheckConstraint("choice <> 'no' OR reason <> ''", name="reason"),
    )


class Signature(Model):
    """A node's JWS over a version's hash."""

    version: Mapped[str] = mapped_column(ForeignKey("charter_version.version"), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    jws: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime]
