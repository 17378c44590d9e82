"""What the open feeds say: one row for each item that there is or was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import db


class FeedItem(db.Model):
    """``change`` is its place in the feed: whatever changes goes to the end (RPDE)."""

    feed: Mapped[str] = mapped_column(String(20), primary_key=True)
    item_id: Mapped[str] = mapped_column(String(140), primary_key=True)
    change: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any] | None]

    __table_args__ = (
        CheckConstraint("change > 0", name="change"),
        Index("uq_feed_item_change", "feed", "change", unique=True),
    )


class FeedCounter(db.Model):
    """The last change of a feed; its row is the lock under which changes are numbered."""

    feed: Mapped[str] = mapped_column(String(20), primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger, default=0)
