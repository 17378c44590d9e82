"""The passes this home issued."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import Model, db
from node.members.models import Member


class Pass(Model):
    """One device's pass. ``number`` is its place in the status list, given once."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), index=True)
    status: Mapped[str] = mapped_column(String(10), default="valid", index=True)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # How often it was announced anew: what the hub is told each time is another message.
    changes: Mapped[int] = mapped_column(default=0, server_default=db.text("0"))
    # What a phone holds, until it is ended; a card has none of its own.
    credential: Mapped[str] = mapped_column(
        Text, default="", server_default=db.text("''"), deferred=True
    )
    # What the member tells it from others by: a browser and a system, no more.
    device: Mapped[str] = mapped_column(String(60), default="", server_default=db.text("''"))
    # Suspended because its member is: it holds again when the member does.
    with_member: Mapped[bool] = mapped_column(default=False, server_default=db.false())

    member: Mapped[Member] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint("status IN ('valid', 'revoked', 'suspended')", name="status"),
    )


class LostPass(Model):
    """A pass that was issued since the backup this database came from, to nobody known here.

    Its number is given to no other, and says that it is revoked.
    """

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    pass_id: Mapped[str] = mapped_column(String(64))
    noted_at: Mapped[datetime]


class Card(Model):
    """What makes a pass one on paper: its PIN, and how often it was given wrong in a row."""

    pass_id: Mapped[str] = mapped_column(
        ForeignKey("pass.id", ondelete="CASCADE"), primary_key=True
    )
    pin_hash: Mapped[str] = mapped_column(String(200))
    tries: Mapped[int] = mapped_column(default=0)

    of: Mapped[Pass] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (CheckConstraint("tries >= 0", name="tries"),)


class CardShowing(Model):
    """Where a card was shown, for the member to see: a host has its number and its PIN."""

    id: Mapped[int] = mapped_column(primary_key=True)
    pass_id: Mapped[str] = mapped_column(ForeignKey("pass.id", ondelete="CASCADE"), index=True)
    host: Mapped[str] = mapped_column(String(64))
    space_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(index=True)


class HostRequest(Model):
    """A host's signed request that was used; kept while it could be sent again."""

    host: Mapped[str] = mapped_column(String(64), primary_key=True)
    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class DoorCode(Model):
    """A pass that waits under six digits for one space; ``until`` is in real time."""

    id: Mapped[int] = mapped_column(primary_key=True)
    pass_id: Mapped[str] = mapped_column(ForeignKey("pass.id", ondelete="CASCADE"), unique=True)
    space_id: Mapped[str] = mapped_column(String(64))
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    text: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime]


class WrongDoorCode(Model):
    """A try of a host at digits that stood for nothing."""

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime]
