"""Where else the facts of a space are kept: read every so often, never written to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from node.db import Model

STATES = ("new", "active", "paused")


class SpaceSource(Model):
    """``state`` is new until something was taken. ``days`` and ``prices`` are what was last taken;
    events are in their own table, and name their source.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id", ondelete="CASCADE"))
    adapter: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(120))
    url: Mapped[str] = mapped_column(String(500))
    open_to: Mapped[str] = mapped_column(String(12))
    state: Mapped[str] = mapped_column(String(8), default="new")
    etag: Mapped[str] = mapped_column(String(300), default="")
    modified: Mapped[str] = mapped_column(String(60), default="")
    # What the last reading rested on besides the source itself: the day, and the sheet's hours.
    basis: Mapped[str] = mapped_column(String(64), default="")
    tried_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    fault: Mapped[str] = mapped_column(String(400), default="")
    fault_since: Mapped[datetime | None]
    left_out: Mapped[list[str]] = mapped_column(default=list)
    days: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prices: Mapped[list[Any]] = mapped_column(default=list)

    __table_args__ = (
        CheckConstraint("state IN ('new', 'active', 'paused')", name="state"),
        CheckConstraint("open_to IN ('everyone', 'subscribers')", name="open_to"),
        UniqueConstraint("space_id", "adapter", "url"),
        Index("ix_space_source_state", "state", "tried_at"),
    )
