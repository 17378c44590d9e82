"""What happens at the spaces, and when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from node.db import Model


class Event(Model):
    """A cancelled one stays, so that calendars which have it learn of it."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(String(2000))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    place: Mapped[str] = mapped_column(String(200))  # empty: at the space itself
    url: Mapped[str] = mapped_column(String(300))
    open_to: Mapped[str] = mapped_column(String(12))
    cancelled: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=0)  # the calendar's SEQUENCE
    updated_at: Mapped[datetime]
    # Read from another tool, which alone changes it; null: typed here.
    source_id: Mapped[int | None] = mapped_column(
        ForeignKey("space_source.id", ondelete="SET NULL"), index=True
    )

    __table_args__ = (
        CheckConstraint("open_to IN ('everyone', 'subscribers')", name="open_to"),
        CheckConstraint("ends_at > starts_at", name="span"),
        Index("ix_event_space_ends", "space_id", "ends_at"),
    )
