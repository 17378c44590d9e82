"""What people report, and what changed since a moderator last looked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import Model, db
from federation.spaces.models import Space


class Report(Model):
    """What somebody without an account says is wrong about a space.

    ``key`` is its form's: sent twice, it is one report. ``email`` is forgotten when the report is
    closed, and after a while in any case. The space answers, a moderator closes.
    """

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"))
    kind: Mapped[str] = mapped_column(String(20))
    words: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(String(254))
    at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(String(12))
    answer_words: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime | None]
    closed_words: Mapped[str] = mapped_column(Text, default="")
    closed_at: Mapped[datetime | None]

    space: Mapped[Space] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint("answer IN ('corrected', 'not_an_error')", name="answer"),
        CheckConstraint("(answer IS NULL) = (answered_at IS NULL)", name="answered"),
        CheckConstraint("closed_at IS NULL OR email IS NULL", name="forgotten"),
        Index("ix_report_space", "space_id", "at"),
        Index("ix_report_queue", "closed_at", "at"),
    )


class Change(Model):
    """How a published document differs from when it was last looked at: its fields that differ.

    ``source`` is the node that published it. A field that was not there is in neither table.
    Until it is seen there is one row for a document, and later changes join it: ``before`` stays,
    ``after`` and ``version`` are the latest, ``times`` counts.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    space_id: Mapped[str | None] = mapped_column(String(64), index=True)
    version: Mapped[int]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    times: Mapped[int] = mapped_column(default=1)
    first_at: Mapped[datetime]
    at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    seen_by: Mapped[str] = mapped_column(String(160), default="")

    __table_args__ = (
        Index(
            "uq_change_unseen",
            "source",
            "name",
            unique=True,
            sqlite_where=db.text("seen_at IS NULL"),
            postgresql_where=db.text("seen_at IS NULL"),
        ),
        Index("ix_change_queue", "seen_at", "at"),
    )
