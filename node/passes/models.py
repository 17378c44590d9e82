"""The passes this home issued."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import db
from node.members.models import Member


class Pass(db.Model):
    """One device's pass. ``number`` is its place in the status list, given once."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), index=True)
    status: Mapped[str] = mapped_column(String(10), default="valid", index=True)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    member: Mapped[Member] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint("status IN ('valid', 'revoked', 'suspended')", name="status"),
    )
