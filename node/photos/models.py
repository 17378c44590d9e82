"""Pictures of a space: what is said of each; the files are in the data folder."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from node.db import Model


class Photo(Model):
    """Without a text in place of the picture (``alt_fr``) it is not published."""

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # random; its files' name
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id", ondelete="CASCADE"), index=True)
    place: Mapped[int]
    alt_fr: Mapped[str] = mapped_column(String(300), default="")
    alt_en: Mapped[str] = mapped_column(String(300), default="")
    credit: Mapped[str] = mapped_column(String(120), default="")
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("width > 0 AND height > 0", name="size"),)
