"""Who is here, as the desk knows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import Model, db


class Visit(Model):
    """A visit at one of our spaces. ``held`` keeps a place while the hub is being asked.

    ``local`` is one of our own members: counted for presence, never in the account.
    """

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"))
    home_id: Mapped[str | None] = mapped_column(String(64))
    pass_id: Mapped[str | None] = mapped_column(String(64))
    given_name: Mapped[str] = mapped_column(String(60), default="")
    plan: Mapped[str] = mapped_column(String(12), default="")
    local: Mapped[bool] = mapped_column(default=False)
    # Of this house: who they are, whichever phone they show, or none.
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))
    by_poster: Mapped[bool] = mapped_column(default=False, server_default=db.text("false"))
    state: Mapped[str] = mapped_column(String(6))
    online: Mapped[bool] = mapped_column(default=True)
    delivered: Mapped[bool] = mapped_column(default=True)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    closes_at: Mapped[datetime]
    held_until: Mapped[datetime | None]
    charter: Mapped[str] = mapped_column(String(20), default="")
    decision: Mapped[dict[str, Any]]
    # Why the hub keeps it for the coordination to look at: till then it counts nothing.
    held: Mapped[str | None] = mapped_column(String(20))
    # As it was told to the hub, to be told again should that lose it; kept for some weeks.
    report: Mapped[str] = mapped_column(
        Text, default="", server_default=db.text("''"), deferred=True
    )
    # The hub's signed word that it has it, without which nothing that it lost is believed.
    receipt: Mapped[str] = mapped_column(
        Text, default="", server_default=db.text("''"), deferred=True
    )

    __table_args__ = (
        CheckConstraint("state IN ('held', 'open', 'closed', 'void')", name="state"),
        Index("ix_visit_space_state", "space_id", "state"),
        Index("ix_visit_pass", "pass_id", "started_at"),
        # One pass is at one of our spaces once.
        Index(
            "uq_visit_open_pass",
            "home_id",
            "pass_id",
            unique=True,
            sqlite_where=db.text("state = 'open'"),
            postgresql_where=db.text("state = 'open'"),
        ),
        Index(
            "uq_visit_open_member",
            "member_id",
            unique=True,
            sqlite_where=db.text("state = 'open'"),
            postgresql_where=db.text("state = 'open'"),
        ),
        # Reports that can still be told again: few, whatever the number of visits.
        Index(
            "ix_visit_report",
            "started_at",
            sqlite_where=db.text("report <> ''"),
            postgresql_where=db.text("report <> ''"),
        ),
    )


class Showing(Model):
    """A code that was good here, and for which visit: shown again it is good for nothing else.

    ``waits`` until the hub was told, for one that tells it of no visit. Kept for some weeks.
    """

    showing: Mapped[str] = mapped_column(String(64), primary_key=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"))
    at: Mapped[datetime] = mapped_column(index=True)
    waits: Mapped[bool]

    __table_args__ = (
        Index(
            "ix_showing_waits",
            "at",
            sqlite_where=db.text("waits = 1"),
            postgresql_where=db.text("waits"),
        ),
    )


class Correction(Model):
    """What a visitor asks their home to have put right, and the host's answer."""

    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(String(500))
    asked_at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(String(500))
    answered_at: Mapped[datetime | None]

    visit: Mapped[Visit] = relationship(lazy="joined", innerjoin=True)


class Incident(Model):
    """A note by the desk, for the space's admin; forgotten after a year."""

    id: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"), index=True)
    visit_id: Mapped[str | None] = mapped_column(ForeignKey("visit.id"))
    at: Mapped[datetime] = mapped_column(index=True)
    text: Mapped[str] = mapped_column(String(1000))
    by: Mapped[str] = mapped_column(String(120))

    visit: Mapped[Visit | None] = relationship(lazy="joined")


class IdempotencyKey(Model):
    """The answer that a key and a body were given, by account; status 0 until there is one."""

    account_id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Refusal(Model):
    """That somebody was refused, and why; nothing about whom."""

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    space_id: Mapped[str] = mapped_column(String(64))
    codes: Mapped[list[str]]
