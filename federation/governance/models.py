"""The charter's versions, and which nodes signed them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import db


class CharterVersion(db.Model):
    """One version: its sources as signed. At most one is in force."""

    version: Mapped[str] = mapped_column(String(20), primary_key=True)
    sources: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(12))
    adopted_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("state IN ('in_force', 'past')", name="state"),
        Index(
            "uq_charter_version_in_force",
            "state",
            unique=True,
            sqlite_where=db.text("state = 'in_force'"),
            postgresql_where=db.text("state = 'in_force'"),
        ),
    )


class Signature(db.Model):
    """A node's JWS over a version's hash."""

    version: Mapped[str] = mapped_column(ForeignKey("charter_version.version"), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    jws: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime]
