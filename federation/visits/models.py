"""Passes the hub was told of, the visits it recorded, and the half-days they count for."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from charter.hours import Opening
from federation.db import Model, db


class Member(Model):
    """A person at a home, by the random reference that the home gave; the hub knows no name."""

    id: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    reference: Mapped[str] = mapped_column(String(64))
    member_since: Mapped[date | None]

    __table_args__ = (UniqueConstraint("node_id", "reference"),)


class Pass(Model):
    """A pass by its number. ``status`` is the home's last word on it; ``revoked`` is for good.

    ``changes`` and ``number``, its place in the status list, are the home's own: it asks for them
    when it has lost them. ``known_at`` is when the hub first heard of it: of a key that is
    withdrawn, only passes that were known before still count.
    """

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), index=True)
    status: Mapped[str] = mapped_column(String(10), default="valid")
    known_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    changes: Mapped[int] = mapped_column(default=0, server_default=db.text("0"))
    number: Mapped[int | None]
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('valid', 'revoked', 'suspended')", name="status"),
    )


def published_hours(hours: list[list[str]] | None) -> tuple[Opening, ...] | None:
    """Return a visit's ``hours`` as instants."""
    if hours is None:
        return None
    found = (
        (datetime.fromisoformat(opens), datetime.fromisoformat(closes)) for opens, closes in hours
    )
    return tuple(found)


_OPEN = db.text("state = 'open' AND held IS NULL")


class Visit(Model):
    """One visit as its host reported it. ``facts`` and ``charter`` let it be decided again.

    The id is made of the showing and the space, so that a showing is one visit. ``day``,
    ``hours`` and ``closes_at`` are those of the house as published then; ``left_at`` is the
    earliest end that was told. ``state`` and ``ended_at`` follow from all visits of the person
    (``charter.timeline``). A ``held`` visit counts nothing until the coordination lets it count;
    the code says why. ``disputed``: a dispute on it is open; ``upheld``: one was decided against
    it. ``changed_at`` is for nodes that ask what they missed. Of the report, no name is kept.
    """

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    home_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    host_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    space_id: Mapped[str] = mapped_column(String(64))
    pass_id: Mapped[str] = mapped_column(String(64))
    plan: Mapped[str] = mapped_column(String(12))
    proof: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(6))
    held: Mapped[str | None] = mapped_column(String(20))
    disputed: Mapped[bool] = mapped_column(default=False, server_default=db.text("false"))
    upheld: Mapped[bool] = mapped_column(default=False, server_default=db.text("false"))
    online: Mapped[bool]
    timezone: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime]
    shown_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    day: Mapped[date]
    hours: Mapped[list[list[str]] | None] = mapped_column(JSON(none_as_null=True))
    closes_at: Mapped[datetime]
    charter: Mapped[str] = mapped_column(ForeignKey("charter_version.version"))
    facts: Mapped[dict[str, Any]]
    decision: Mapped[dict[str, Any]]
    flags: Mapped[list[str]]
    evidence: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    void_reason: Mapped[str | None] = mapped_column(String(300))

    __table_args__ = (
        CheckConstraint("state IN ('open', 'closed', 'void')", name="state"),
        CheckConstraint("state = 'open' OR ended_at IS NOT NULL", name="ended"),
        CheckConstraint("ended_at IS NULL OR ended_at >= started_at", name="order"),
        # One person is in one place.
        Index(
            "uq_visit_open_member",
            "member_id",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index("ix_visit_host_changed", "host_id", "changed_at"),
        Index("ix_visit_home_changed", "home_id", "changed_at"),
        Index("ix_visit_member_started", "member_id", "started_at"),
        Index("ix_visit_day", "day"),
        # Few, whatever the number of visits.
        Index(
            "ix_visit_held",
            "held",
            sqlite_where=db.text("held IS NOT NULL"),
            postgresql_where=db.text("held IS NOT NULL"),
        ),
    )


class Showing(Model):
    """One showing of a pass, by the hash of what the phone signed: good for one visit.

    ``kind`` is ``visit``, ``seen`` (somebody who was here already, or a member at home) or
    ``refused``; ``live``: the hub itself was asked at that moment. Kept for some weeks.
    """

    showing: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(7))
    host_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    space_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    live: Mapped[bool]
    told_at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (CheckConstraint("kind IN ('visit', 'seen', 'refused')", name="kind"),)


class HalfDayLine(Model):
    """One half-day counted (+1), or its reversal (-1); never changed.

    A half-day of one person at one operator counts once, however many visits touch it, and is
    carried by one of them; ``occurrence`` goes up when it is counted again after a reversal. A
    reversal names the line that it reverses, and says why: no line is reversed twice.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"), index=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    home_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    host_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    space_id: Mapped[str] = mapped_column(String(64))
    month: Mapped[str] = mapped_column(String(7))
    day: Mapped[date]
    half: Mapped[str] = mapped_column(String(2))
    quantity: Mapped[int]
    occurrence: Mapped[int]
    reverses_id: Mapped[int | None] = mapped_column(ForeignKey("half_day_line.id"), unique=True)
    reason: Mapped[str] = mapped_column(String(300), default="", server_default=db.text("''"))
    recorded_at: Mapped[datetime]

    __table_args__ = (
        # Every question about one person begins with these, too.
        UniqueConstraint(
            "member_id",
            "month",
            "host_id",
            "day",
            "half",
            "occurrence",
            "quantity",
            name="uq_half_day_line_once",
        ),
        CheckConstraint("half IN ('am', 'pm')", name="half"),
        CheckConstraint("quantity IN (1, -1)", name="quantity"),
        CheckConstraint("(quantity = 1) = (reverses_id IS NULL)", name="reverses"),
        Index("ix_half_day_line_month", "month"),
    )


class Refusal(Model):
    """That a host refused somebody, and why; nothing about whom."""

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("node.id"))
    space_id: Mapped[str] = mapped_column(String(64))
    home_id: Mapped[str | None] = mapped_column(String(64))
    codes: Mapped[list[str]]


class Correction(Model):
    """What a visitor asks to have put right, by way of their home; one for a visit."""

    visit_id: Mapped[str] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(String(500))
    asked_at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(String(500))
    answered_at: Mapped[datetime | None]
