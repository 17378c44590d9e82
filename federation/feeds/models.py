"""What the open feeds say: one row for each item that there is or was."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import Model, db


class FeedItem(Model):
    """``change`` is its place in the feed: whatever changes goes to the end (RPDE).

    Without ``data`` it is gone since ``changed_at``.
    """

    feed: Mapped[str] = mapped_column(String(20), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(140), primary_key=True)
    space_id: Mapped[str] = mapped_column(String(64), default="", server_default=db.text("''"))
    change: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[datetime | None]
    data: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        CheckConstraint("change > 0", name="change"),
        Index("uq_feed_item_change", "feed", "change", unique=True),
        Index("ix_feed_item_space", "space_id"),
    )


class FeedCounter(Model):
    """The last change of a feed; its row is the lock under which changes are numbered."""

    feed: Mapped[str] = mapped_column(String(20), primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger, default=0)


class FeedMark(Model):
    """What a space was like when the feeds were last brought up to date with it.

    ``likeness`` is what the database makes of its rows; ``due_at`` is when something of it changes
    by itself, ``again_at`` from when on what its node says is worth saying again.
    """

    space_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    likeness: Mapped[str] = mapped_column(String(800))
    due_at: Mapped[datetime]
    again_at: Mapped[datetime | None]
