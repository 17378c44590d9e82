"""Places that are kept: at our spaces (bookings), and elsewhere for our members (trips)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import Model, db
from node.members.models import Member


class Booking(Model):
    """A place or a room kept at one of our spaces, under the id that the home gave it.

    ``held`` lapses by itself; ``waiting`` is on the waiting list. ``revision`` goes up with each
    change, ``told`` is the last one that the home took. ``member`` is the home's name for them
    here, and says nothing.
    """

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"))
    room: Mapped[str | None] = mapped_column(String(120))
    home_id: Mapped[str] = mapped_column(String(64))
    member: Mapped[str] = mapped_column(String(64))
    given_name: Mapped[str] = mapped_column(String(60))
    plan: Mapped[str] = mapped_column(String(12))
    passes: Mapped[list[str]]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))
    held_until: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(300), default="")
    late: Mapped[bool] = mapped_column(default=False)
    asked_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(default=1)
    told: Mapped[int] = mapped_column(default=0)
    # The half-days on which the space was open, like "2026-10-08-am", and the dates among them on
    # which it is not any more. No half-days: before they were noted.
    half_days: Mapped[list[str]] = mapped_column(default=list)
    closed: Mapped[list[str]] = mapped_column(default=list)
    next_attempt_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        CheckConstraint(
            "state IN ('held', 'confirmed', 'waiting', 'cancelled', 'lapsed', 'arrived',"
            " 'no_show')",
            name="state",
        ),
        CheckConstraint("state <> 'held' OR held_until IS NOT NULL", name="held"),
        CheckConstraint("ends_at > starts_at", name="span"),
        Index("ix_booking_space_ends", "space_id", "ends_at"),
        Index("ix_booking_told", "told", "revision"),
    )


class Trip(Model):
    """What one of our members asked of a host, and the host's last word on it.

    ``asking``, ``confirming`` and ``cancelling`` wait for the host's answer: they are asked again
    until there is one. ``state`` is the host's from then on.
    """

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), index=True)
    host_id: Mapped[str] = mapped_column(String(64))
    space_id: Mapped[str] = mapped_column(String(64))
    space_name: Mapped[str] = mapped_column(String(120))
    room: Mapped[str | None] = mapped_column(String(120))
    timezone: Mapped[str] = mapped_column(String(40))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))
    wait: Mapped[bool] = mapped_column(default=False)
    held_until: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(300), default="")
    codes: Mapped[list[Any]]
    revision: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    # When the host was last told which passes are theirs, in real time; null: not noted yet.
    passes_told_at: Mapped[datetime | None]
    # The host gave no word, and the booking was given up.
    unanswered: Mapped[bool] = mapped_column(default=False, server_default=db.text("false"))
    # As in a booking: the half-days that it would use, and the host's word on days closed since.
    half_days: Mapped[list[str]] = mapped_column(default=list)
    closed: Mapped[list[str]] = mapped_column(default=list)

    member: Mapped[Member] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint(
            "state IN ('asking', 'confirming', 'cancelling', 'held', 'confirmed', 'waiting',"
            " 'cancelled', 'lapsed', 'arrived', 'no_show', 'refused')",
            name="state",
        ),
        CheckConstraint("ends_at > starts_at", name="span"),
        Index("ix_trip_due", "state", "next_attempt_at"),
    )
